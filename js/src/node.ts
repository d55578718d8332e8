// The entry for Node.js: index.ts with real headers, and with the package ws if
// it is installed.
import { StoaError } from "./errors.js";
import type { WebSocketLike } from "./options.js";
import { openWith, platform, type Request } from "./socket.js";

// The WebSocket of Node.js takes headers, which the standard does not have.
type WithHeaders = new (url: string, options: { protocols?: string | string[]; headers: object }) => WebSocketLike;

// The members of ws that browsers do not have.
interface Response {
  statusCode: number;
  headers: Record<string, string | undefined>;
  socket: { on(event: "data", listener: () => void): void };
  on(event: "data" | "close", listener: (piece: unknown) => void): void;
  destroy(): void;
}
interface Extended extends WebSocketLike {
  on(event: "upgrade", listener: (response: Response) => void): void;
  on(event: "unexpected-response", listener: (request: unknown, response: Response) => void): void;
  on(event: "error", listener: (error: Error) => void): void;
  on(event: "close", listener: () => void): void;
  ping(): void;
  terminate(): void;
}
interface WsModule {
  WebSocket: new (url: string, protocols: string | string[] | undefined, options: object) => Extended;
}

// How long a peer may take to answer a close frame, in milliseconds.
const closeTimeout = 5000;
// How much of the body of a refusal is read, in UTF-16 units and milliseconds.
const maxText = 512;
const bodyTimeout = 1000;
// The codes of refusals; those of any other status are "refused".
const words: Record<number, string | undefined> = { 401: "unauthorized", 403: "forbidden" };

let ws: Promise<WsModule | undefined> | undefined;

// A variable and the comments keep bundlers from looking for the package.
async function importWs(): Promise<WsModule | undefined> {
  const name = "ws";
  try {
    return (await import(/* webpackIgnore: true */ /* @vite-ignore */ name)) as WsModule;
  } catch {
    return undefined;
  }
}

// The package ws reports the status of a refusal, sends pings, and closes a
// connection whose peer is silent. The WebSocket of Node.js does none of these.
async function open(request: Request): Promise<void> {
  const module = await (ws ??= importWs());
  if (module) openWithWs(module, request);
  else if (globalThis.WebSocket) openWithGlobal(request);
  else request.fail(new StoaError("no WebSocket: install the package ws, or Node.js 22", "no_websocket"), true);
}

function openWithWs(module: WsModule, { url, protocols, headers, isFirst, fail, attach, heard }: Request): void {
  // Messages of one TCP segment must arrive in separate turns: the
  // application's reaction to an answer comes before the next message.
  const options = { headers: Object.fromEntries(headers), allowSynchronousEvents: false };
  const socket = new module.WebSocket(url, protocols ?? [], options);
  // Pings, pongs and parts of a long message have no event of their own.
  socket.on("upgrade", (response) => response.socket.on("data", heard));
  socket.on("unexpected-response", (_request, response) => {
    const { statusCode: status, headers } = response;
    const seconds = Number(headers["retry-after"]);
    const reason = seconds > 0 ? `; retry-after=${Math.min(seconds, 86_400) * 1000}` : "";
    let text = "";
    const settle = () => {
      const message = `refused with status ${status}${text && `: ${text.trim()}`}`;
      fail(new StoaError(message, words[status] ?? "refused"), isFinal(status, isFirst), reason);
      response.destroy();
    };
    // The beginning of the body says why; a slow one is not awaited.
    const timer = setTimeout(settle, bodyTimeout);
    response.on("data", (piece) => {
      text += String(piece);
      if (text.length >= maxText) response.destroy();
      text = text.slice(0, maxText);
    });
    response.on("close", () => {
      clearTimeout(timer);
      settle();
    });
  });
  socket.on("error", (error) => {
    if (isFirst && isCertificate(error)) fail(error, true);
  });
  const close = socket.close.bind(socket);
  socket.close = (code, reason) => {
    close(code, reason);
    const timer = setTimeout(() => socket.terminate(), closeTimeout);
    socket.on("close", () => clearTimeout(timer));
  };
  attach(socket, () => socket.ping());
}

function openWithGlobal(request: Request): void {
  const { url, protocols, headers, isFirst, fail, attach } = request;
  let socket;
  try {
    socket = new (globalThis.WebSocket as unknown as WithHeaders)(url, { protocols, headers: Object.fromEntries(headers) });
  } catch {
    // A standard WebSocket, for example that of jsdom, takes the options for
    // the name of a protocol, and refuses it.
    return void openWith(globalThis.WebSocket)(request);
  }
  (socket as unknown as EventTarget).addEventListener("error", (event) => {
    const { error } = event as { error?: Error };
    if (error && isFirst && isCertificate(error.cause)) fail(error, true);
  });
  attach(socket);
}

/**
 * The rule of the Go client: a refusal is final, except the statuses that say
 * "later" or "too many". Once the client was connected, load balancers may
 * answer others, for example 404, while a server is being replaced.
 */
function isFinal(status: number, isFirst: boolean): boolean {
  if ([401, 403, 410].includes(status)) return true;
  return isFirst && status < 500 && ![408, 425, 429].includes(status);
}

/** Reports whether an error says that a certificate cannot be verified. */
function isCertificate(error: unknown): boolean {
  return /CERT|SIGNATURE/.test(String((error as { code?: string } | undefined)?.code));
}

platform._open = open;

export * from "./index.js";
