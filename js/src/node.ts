// The entry for Node.js: index.ts with real headers, and with the package ws if
// there is no global WebSocket.
import { StoaError } from "./errors.js";
import type { WebSocketLike } from "./options.js";
import { platform, type Request } from "./socket.js";

// The WebSocket of Node.js takes headers, which the standard does not have.
type WithHeaders = new (url: string, options: { protocols?: string | string[]; headers: object }) => WebSocketLike;

// The members of ws that browsers do not have.
interface Response {
  statusCode: number;
  resume(): void;
}
type Extended = WebSocketLike & { on(event: "unexpected-response", listener: (request: unknown, response: Response) => void): void };
type WsModule = {
  WebSocket: new (url: string, protocols: string | string[] | undefined, options: object) => Extended;
};

async function open({ url, protocols, headers, fail }: Request): Promise<WebSocketLike> {
  const all = Object.fromEntries(headers);
  if (globalThis.WebSocket) return new (globalThis.WebSocket as unknown as WithHeaders)(url, { protocols, headers: all });
  // A variable keeps bundlers from looking for the package.
  const name = "ws";
  const ws = (await import(name)) as WsModule;
  // Messages of one TCP segment must arrive in separate turns: the
  // application's reaction to an answer comes before the next message.
  const socket = new ws.WebSocket(url, protocols ?? [], { headers: all, allowSynchronousEvents: false });
  socket.on("unexpected-response", (_request, response) => {
    response.resume();
    const status = response.statusCode;
    fail(new StoaError(`refused with status ${status}`, "refused"), isFinal(status));
  });
  return socket;
}

/** A client error is final, except the ones that say "later" or "too many". */
function isFinal(status: number): boolean {
  return status >= 400 && status < 500 && ![408, 425, 429].includes(status);
}

platform._open = open;

export * from "./index.js";
