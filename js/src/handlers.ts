import type { AnswerOf, BodyOf, Name, SystemEvent } from "./events.js";
import type { Handler } from "./model.js";

/** The handlers of one namespace. */
export type EventHandlers<E> = {
  [K in Name<E> as K extends SystemEvent ? never : K]?: Handler<E, BodyOf<E[K]>, AnswerOf<E[K]>>;
} & { [K in SystemEvent]?: Handler<E> };

/**
 * The handlers of a connection by namespace and event. An empty object
 * declares a namespace without handlers; an undeclared namespace cannot be
 * connected. Handlers without a namespace belong to the namespace "".
 */
export type Handlers<E> =
  | { [N in Name<E>]?: EventHandlers<E[N]> | Map<string, Handler<E[N]>> }
  | EventHandlers<string extends keyof E ? E[keyof E] : E extends { "": infer Events } ? Events : unknown>;

/** Handlers by namespace and event. */
export type Table = Map<string, Map<string, Handler>>;

const entries = (group: object): [string, unknown][] =>
  group instanceof Map ? [...(group as Map<string, unknown>)] : Object.entries(group);

/**
 * Converts handlers to one form. It accepts objects and maps, of namespaces
 * or, for the namespace "", of functions. A mix of both throws a TypeError.
 */
export function resolveHandlers(handlers: object): Table {
  const table: Table = new Map();
  const own = new Map<string, Handler>();
  for (const [key, value] of entries(handlers)) {
    if (typeof value === "function") own.set(key, value as Handler);
    else table.set(key, new Map(entries(value ?? {}) as [string, Handler][]));
  }
  if (own.size && table.size) throw new TypeError("namespaces mixed with functions");
  if (own.size) table.set("", own);
  return table;
}
