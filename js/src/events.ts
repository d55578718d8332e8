import type { EmitOptions } from "./options.js";

/**
 * The events of an application: the events of each namespace, with the type
 * of each body. Text and Uint8Array travel unchanged, anything else as JSON.
 * A function type declares an event for asks: `(body) => answer`.
 *
 *     interface MyEvents {
 *       default: {
 *         chat: string;
 *         move: { x: number };
 *         sum(numbers: number[]): number;
 *       };
 *     }
 */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- what an interface without an index signature satisfies
export type EventMap<E = any> = { [Namespace in keyof E]: object };

/** The events of an application that declares none: every name, any body. */
export interface AnyEvents {
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- by definition
  [namespace: string]: { [event: string]: any };
}

/** The string keys of E. */
export type Name<E> = keyof E & string;

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- to tell any from everything else
type Function1 = (...parameters: any[]) => unknown;
type IsAny<T> = 0 extends 1 & T ? true : false;

/** The type of an event's body. */
export type BodyOf<T> =
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- programs without an event map
  IsAny<T> extends true ? any : T extends Function1 ? Parameters<T>[0] : T;

/** The type of the answer to an ask. */
export type AnswerOf<T> =
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- programs without an event map
  IsAny<T> extends true ? any : T extends Function1 ? Awaited<ReturnType<T>> : any;

/** The parameters of emit behind the event; the body is optional if it may be undefined. */
export type BodyParameter<T> = undefined extends BodyOf<T> ? [body?: BodyOf<T>, options?: EmitOptions] : [body: BodyOf<T>, options?: EmitOptions];

/** The event names with a meaning of their own in every namespace. */
export type SystemEvent =
  | "_OnNamespaceConnect"
  | "_OnNamespaceConnected"
  | "_OnNamespaceDisconnect"
  | "_OnRoomJoin"
  | "_OnRoomJoined"
  | "_OnRoomLeave"
  | "_OnRoomLeft"
  | "_OnHistoryGap"
  | "_OnHistoryRemoved"
  | "_OnPresence"
  | "_OnAnyEvent"
  | "_OnNativeMessage";
