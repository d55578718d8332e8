import type { Options, WebSocketLike } from "./options.js";

/** What a dial amounts to. */
export interface Request {
  url: string;
  protocols: Options["protocols"];
  headers: [string, string][];
  /** Takes why there is no WebSocket, where more is known than that; final says that there will never be one. */
  failed: (error: Error, final: boolean) => void;
}

/** Opens a WebSocket. */
export type Open = (request: Request) => WebSocketLike | Promise<WebSocketLike>;

type WebSocketConstructor = NonNullable<Options["WebSocket"]>;

/** Opens a WebSocket as a browser can: the headers are URL parameters. */
export function openWith(constructor: WebSocketConstructor): Open {
  return ({ url, protocols, headers }) =>
    new constructor(withParameters(url, headers.map(([name, value]) => [`X-Websocket-Header-${name}`, value])), protocols);
}

/** How a WebSocket is opened unless options say otherwise; the build for Node.js replaces it. */
export const platform: { open: Open } = {
  open: (request) => openWith(WebSocket)(request),
};

/**
 * The absolute ws: or wss: URL. What begins with a slash is on the server of
 * the page, what has no scheme is ws:.
 */
export function absoluteURL(url: string): string {
  const base = globalThis.location?.href;
  const absolute = new URL(/^(\/|\w+:\/\/)/.test(url) ? url : `ws://${url}`, base);
  absolute.protocol = absolute.protocol.replace("http", "ws");
  return absolute.href;
}

/** Puts parameters in front of those that the URL has. */
export function withParameters(url: string, parameters: [string, string][]): string {
  if (!parameters.length) return url;
  const added = parameters.map((pair) => pair.map(encodeURIComponent).join("=")).join("&");
  const [path, query] = url.split(/\?(.*)/s);
  return `${path}?${added}${query ? `&${query}` : ""}`;
}
