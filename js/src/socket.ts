import { StoaError } from "./errors.js";
import type { Options, WebSocketLike } from "./options.js";

/** The request that opens a WebSocket. */
export interface Request {
  url: string;
  protocols: Options["protocols"];
  headers: [string, string][];
  /** Set until the server has accepted the client for the first time. */
  isFirst: boolean;
  /**
   * Reports a failure with a better error than the close event has. Final
   * means that every further attempt would fail, too. The reason may suggest a
   * delay, as that of a close frame.
   */
  fail: (error: Error, final: boolean, reason?: string) => void;
  /**
   * Takes the WebSocket in the turn that made it, before it has events. Ping
   * asks the server for bytes; without it the client sends a message.
   */
  attach: (socket: WebSocketLike, ping?: () => void) => void;
  /** Notes that bytes of the server have arrived. */
  heard: () => void;
}

/** Opens a WebSocket. */
export type Open = (request: Request) => void | Promise<void>;

type WebSocketConstructor = NonNullable<Options["WebSocket"]>;

/** Opens WebSockets as browsers can: headers become URL parameters. */
export function openWith(constructor: WebSocketConstructor): Open {
  return ({ url, protocols, headers, attach }) =>
    attach(new constructor(withParameters(url, headers.map(([name, value]) => [`X-Websocket-Header-${name}`, value])), protocols));
}

/** The platform's way to open a WebSocket; node.ts replaces it. */
export const platform: { _open: Open } = {
  // Node.js has none up to version 21, and never will have: no retries.
  _open: (request) =>
    globalThis.WebSocket
      ? openWith(WebSocket)(request)
      : request.fail(new StoaError("no WebSocket: needs Node.js 22, or the option WebSocket", "no_websocket"), true),
};

/**
 * The absolute ws: or wss: URL. A path is relative to the server of the page;
 * a URL without a scheme is a ws: URL.
 */
export function absoluteURL(url: string): string {
  // The URL of React Native appends a slash and cannot change its scheme.
  if (url.startsWith("/")) url = new URL(url, globalThis.location?.href).href;
  return (/^\w+:\/\//.test(url) ? url : `ws://${url}`).replace(/^http/i, "ws");
}

/** Puts parameters in front of those that the URL has. */
export function withParameters(url: string, parameters: [string, string][]): string {
  if (!parameters.length) return url;
  const added = parameters.map((pair) => pair.map(encodeURIComponent).join("=")).join("&");
  const [path, query] = url.split(/\?(.*)/s);
  return `${path}?${added}${query ? `&${query}` : ""}`;
}
