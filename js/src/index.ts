/**
 * A client for Stoa nodes and neffos servers: namespaces, rooms, events and
 * asks over one WebSocket that reconnects automatically.
 */
export { dial } from "./dial.js";
export {
  ErrBadNamespace,
  ErrBadRoom,
  ErrBufferFull,
  ErrClosed,
  ErrDisconnected,
  ErrForbidden,
  ErrGone,
  ErrIDReused,
  ErrIdle,
  ErrInternal,
  ErrInvalidName,
  ErrInvalidPayload,
  ErrNameTooLong,
  ErrNobody,
  ErrRoomFull,
  ErrSlowReader,
  ErrTimeout,
  ErrTooBig,
  ErrTooManyAsks,
  ErrTooManyNamespaces,
  ErrTooManyRooms,
  ErrUnauthorized,
  ErrUnavailable,
  ErrUnhandled,
  ErrWrite,
  isCloseError,
  StoaError,
} from "./errors.js";
export type { AnswerOf, AnyEvents, BodyOf, BodyParameter, EventMap, Name, SystemEvent } from "./events.js";
export type { EventHandlers, Handlers } from "./handlers.js";
export { isReply, marshal, Message, Reply, reply } from "./message.js";
export type { Data, RawBody } from "./message.js";
export type * from "./model.js";
export * from "./names.js";
export type * from "./options.js";
export { Roster } from "./roster.js";
export type * from "./state.js";
