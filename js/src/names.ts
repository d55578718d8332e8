// The protocol fixes the names of system events.

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
/** While a room is left. */
export const OnRoomLeave = "_OnRoomLeave";
/** After a room was left. */
export const OnRoomLeft = "_OnRoomLeft";
/** Any event that has no handler of its own. */
export const OnAnyEvent = "_OnAnyEvent";
/** Hands in a token, or announces that the last one ends. */
export const OnAuthenticate = "_OnAuthenticate";
/** Messages of a room are missing, since the connection or the server lost them. */
export const OnHistoryGap = "_OnHistoryGap";
/** Messages were removed from a room's history; position is empty for all. */
export const OnHistoryRemoved = "_OnHistoryRemoved";
/**
 * Members have joined or left a room; the body is a PresenceChange. Servers
 * report it only to clients with a handler of this event.
 */
export const OnPresence = "_OnPresence";
/** Joins a room and recovers missed messages; it is no event of applications. */
export const OnRoomRecover = "_OnRoomRecover";
/** Reads the history of a room; it is no event of applications. */
export const OnHistory = "_OnHistory";
/** Publishes a confirmed emit in a room; it is no event of applications. */
export const OnRoomPublish = "_OnRoomPublish";
/** A payload that is not a message; in the namespace "". */
export const OnNativeMessage = "_OnNativeMessage";

const systemEvents = [
  OnNamespaceConnect,
  OnNamespaceConnected,
  OnNamespaceDisconnect,
  OnRoomJoin,
  OnRoomJoined,
  OnRoomLeave,
  OnRoomLeft,
  OnAuthenticate,
  OnHistoryGap,
  OnHistoryRemoved,
  OnPresence,
  OnRoomRecover,
  OnHistory,
  OnRoomPublish,
];

/** Reports whether an event is one that clients cannot send as their own. */
export function isSystemEvent(event: string): boolean {
  return systemEvents.includes(event);
}
