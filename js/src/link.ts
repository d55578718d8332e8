import { ErrTimeout, toError } from "./errors.js";
import type { Data } from "./message.js";
import type { Clock, Credentials, Options, Transition, WebSocketLike } from "./options.js";
import { absoluteURL, openWith, platform, withParameters } from "./socket.js";

/** How a connection has ended. */
export type End = Pick<Transition, "error" | "final"> & { code: number; reason: string };

interface Receiver {
  opened(): void;
  receive(payload: Data): void;
  ended(end: End): void;
}

const openState = 1;

/** One WebSocket, from the dial to its end. */
export class Link {
  private _socket?: WebSocketLike;
  private _timer: unknown;
  private _over = false;

  constructor(
    private _clock: Clock,
    private _receiver: Receiver,
  ) {}

  /** Dials; the outcome is told to the receiver. Attempt counts earlier failures. */
  async dial(url: string, options: Options, attempt: number): Promise<void> {
    const timeout = options.dialTimeout ?? 10_000;
    if (timeout) this._timer = this._clock.setTimeout(() => this.fail(ErrTimeout), timeout);
    try {
      const target = absoluteURL(url);
      const { headers, query }: Credentials = (await options.authenticate?.()) ?? {};
      if (this._over) return;
      const all = { ...options.headers, ...headers };
      // neffos servers tell their programs how often was tried.
      if (attempt) all["X-Websocket-Reconnect"] = String(attempt);
      const open = options.WebSocket ? openWith(options.WebSocket) : platform.open;
      const socket = await open({
        url: withParameters(target, Object.entries(query ?? {})),
        protocols: options.protocols,
        headers: Object.entries(all),
        failed: (error, final) => this.fail(error, final),
      });
      this._attach(socket);
      if (this._over) this.close();
    } catch (thrown) {
      // A URL that cannot be dialled will not get better.
      this.fail(toError(thrown), thrown instanceof TypeError || (thrown as Error)?.name === "SyntaxError");
    }
  }

  /** The server has accepted the connection: the time of the dial is over. */
  accepted(): void {
    this._clock.clearTimeout(this._timer);
  }

  get isOpen(): boolean {
    return this._socket?.readyState === openState;
  }

  send(payload: Data): void {
    if (this.isOpen) this._socket?.send(payload);
  }

  /** Ends the connection without waiting for the other side. */
  fail(error: Error, final = false): void {
    this._end({ code: 1006, reason: "", error, final });
  }

  /** Forgets the connection without telling anybody. */
  close(code?: number, reason?: string): void {
    this._over = true;
    this._clock.clearTimeout(this._timer);
    const socket = this._socket;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close(code, reason);
  }

  private _attach(socket: WebSocketLike): void {
    this._socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this._receiver.opened();
    socket.onmessage = ({ data }: { data: string | ArrayBuffer }) =>
      this._receiver.receive(typeof data === "string" ? data : new Uint8Array(data));
    // An error says nothing that the close after it does not; without a
    // handler ws would throw it.
    socket.onerror = () => undefined;
    socket.onclose = ({ code, reason }: { code: number; reason: string }) => this._end({ code, reason });
  }

  private _end(end: End): void {
    if (this._over) return;
    this.close();
    this._receiver.ended(end);
  }
}
