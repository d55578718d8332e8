/**
 * A client for Stoa nodes and neffos servers: namespaces, rooms, events and
 * asks over one WebSocket that comes back by itself.
 */
export { Conn } from "./conn.js";
export { dial } from "./dial.js";
export {
  ErrBadNamespace,
  ErrBadRoom,
  ErrBufferFull,
  ErrClosed,
  ErrDisconnected,
  ErrInvalidPayload,
  ErrTimeout,
  ErrWrite,
  isCloseError,
  StoaError,
} from "./errors.js";
export type {
  AnswerOf,
  AnyEvents,
  BodyOf,
  EventHandlers,
  EventMap,
  Handler,
  Handlers,
  Result,
  SystemEvent,
} from "./events.js";
export { isReply, marshal, Message, Reply, reply } from "./message.js";
export type { Data } from "./message.js";
export * from "./names.js";
export { NSConn } from "./nsconn.js";
export type * from "./options.js";
export { Room } from "./room.js";
