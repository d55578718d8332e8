// The names of system events are fixed by the protocol.

/** Before a namespace is connected; an error refuses it. */
export const OnNamespaceConnect = "_OnNamespaceConnect";
/** After a namespace was connected. */
export const OnNamespaceConnected = "_OnNamespaceConnected";
/** After a namespace was disconnected. */
export const OnNamespaceDisconnect = "_OnNamespaceDisconnect";
/** Before a room is joined; an error refuses it. */
export const OnRoomJoin = "_OnRoomJoin";
/** After a room was joined. */
export const OnRoomJoined = "_OnRoomJoined";
/** When a room is left. */
export const OnRoomLeave = "_OnRoomLeave";
/** After a room was left. */
export const OnRoomLeft = "_OnRoomLeft";
/** Any event without a handler of its own. */
export const OnAnyEvent = "_OnAnyEvent";
/** What is no message, in the namespace "". */
export const OnNativeMessage = "_OnNativeMessage";

const systemEvents = [
  OnNamespaceConnect,
  OnNamespaceConnected,
  OnNamespaceDisconnect,
  OnRoomJoin,
  OnRoomJoined,
  OnRoomLeave,
  OnRoomLeft,
];

/** Reports whether an event is one of the seven about namespaces and rooms. */
export function isSystemEvent(event: string): boolean {
  return systemEvents.includes(event);
}
