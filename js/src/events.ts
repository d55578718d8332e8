import type { Message, Reply } from "./message.js";
import type { NSConn } from "./nsconn.js";

/**
 * The events of a program: for every namespace the events, for every event the
 * type of its body. Text and Uint8Array travel as they are, anything else as
 * JSON. A function type is an event that is asked: `(body) => answer`.
 *
 *     interface MyEvents {
 *       default: { chat: string; move: { x: number }; sum(numbers: number[]): number };
 *     }
 */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- what an interface without an index signature satisfies
export type EventMap<E = any> = { [Namespace in keyof E]: object };

/** The events of programs that declare none: every name, any body. */
export interface AnyEvents {
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- by definition
  [namespace: string]: { [event: string]: any };
}

/** The names of E's keys. */
export type Name<E> = keyof E & string;

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- to tell any from everything else
type Function1 = (...parameters: any[]) => unknown;
type IsAny<T> = 0 extends 1 & T ? true : false;

/** The type of an event's body. */
export type BodyOf<T> =
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- programs without an event map
  IsAny<T> extends true ? any : T extends Function1 ? Parameters<T>[0] : T;

/** The type of the answer to an event that is asked. */
export type AnswerOf<T> =
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- programs without an event map
  IsAny<T> extends true ? any : T extends Function1 ? Awaited<ReturnType<T>> : any;

/** The body parameter of emit and ask; it may be left out where undefined is a body. */
export type BodyParameter<T> = undefined extends BodyOf<T> ? [body?: BodyOf<T>] : [body: BodyOf<T>];

/** What a handler may give back: nothing, an error, or the answer. */
export type Result<A = unknown> = void | undefined | null | Error | Reply<A>;

/**
 * Handles one event. The handlers of a connection run one after the other, a
 * promise is waited for. An error, returned or thrown, refuses what the
 * handler was asked for; a reply answers an ask.
 */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- programs without an event map
export type Handler<E = any, B = any, A = any> = (
  nsConn: NSConn<E>,
  message: Message<B>,
) => Result<A> | Promise<Result<A>>;

/** The names that have a meaning in every namespace. */
export type SystemEvent =
  | "_OnNamespaceConnect"
  | "_OnNamespaceConnected"
  | "_OnNamespaceDisconnect"
  | "_OnRoomJoin"
  | "_OnRoomJoined"
  | "_OnRoomLeave"
  | "_OnRoomLeft"
  | "_OnAnyEvent"
  | "_OnNativeMessage";

/** The handlers of one namespace. */
export type EventHandlers<E> = {
  [K in Name<E> as K extends SystemEvent ? never : K]?: Handler<E, BodyOf<E[K]>, AnswerOf<E[K]>>;
} & { [K in SystemEvent]?: Handler<E> };

/**
 * The handlers of a connection by namespace and event. A namespace without
 * handlers is declared with an empty object; one that is not there can not be
 * connected. Handlers without a namespace are those of the namespace "".
 */
export type Handlers<E> =
  | { [N in Name<E>]?: EventHandlers<E[N]> | Map<string, Handler<E[N]>> }
  | EventHandlers<string extends keyof E ? E[keyof E] : E extends { "": infer Events } ? Events : unknown>;
