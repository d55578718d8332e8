import type { Handler } from "./events.js";

/** Handlers by namespace and event. */
export type Table = Map<string, Map<string, Handler>>;

const entries = (group: object): [string, unknown][] =>
  group instanceof Map ? [...(group as Map<string, unknown>)] : Object.entries(group);

/**
 * Brings handlers into one form: objects and maps, of namespaces or, for the
 * namespace "", of functions. Throws a TypeError for a mix of both.
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
