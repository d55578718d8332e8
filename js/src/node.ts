// The entry for Node.js: the same as index.ts, with real headers, and with the
// ws package where there is no global WebSocket.
import { StoaError } from "./errors.js";
import type { WebSocketLike } from "./options.js";
import { platform, type Request } from "./socket.js";

// What the WebSocket of Node.js takes beyond the standard.
type WithHeaders = new (url: string, options: { protocols?: string | string[]; headers: object }) => WebSocketLike;

// The part of ws that browsers do not have.
interface Response {
  statusCode: number;
  resume(): void;
}
type Extended = WebSocketLike & { on(event: "unexpected-response", listener: (request: unknown, response: Response) => void): void };
type WsModule = {
  WebSocket: new (url: string, protocols: string | string[] | undefined, options: object) => Extended;
};

async function open({ url, protocols, headers, failed }: Request): Promise<WebSocketLike> {
  const all = Object.fromEntries(headers);
  if (globalThis.WebSocket) return new (globalThis.WebSocket as unknown as WithHeaders)(url, { protocols, headers: all });
  // A name that is no literal keeps bundlers from looking for the package.
  const name = "ws";
  const ws = (await import(name)) as WsModule;
  // Messages in one segment of the network must not be told in one go: what an
  // answer makes the program do comes before the next message.
  const socket = new ws.WebSocket(url, protocols ?? [], { headers: all, allowSynchronousEvents: false });
  socket.on("unexpected-response", (_request, response) => {
    response.resume();
    const status = response.statusCode;
    failed(new StoaError(`refused with status ${status}`, "refused"), isFinal(status));
  });
  return socket;
}

/** Client errors but for "later" and "too many" mean that another attempt will fare no better. */
function isFinal(status: number): boolean {
  return status >= 400 && status < 500 && ![408, 425, 429].includes(status);
}

platform.open = open;

export * from "./index.js";
