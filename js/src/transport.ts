import { credentialsOf } from "./credentials.js";
import { ErrIdle, ErrTimeout, isUnauthorized, refusalFor, toError } from "./errors.js";
import { toBytes, type Data } from "./message.js";
import type { Clock, Options, WebSocketLike } from "./options.js";
import { after } from "./promises.js";
import { absoluteURL, openWith, platform, withParameters } from "./socket.js";
import type { Transition } from "./state.js";

/** The close of a connection and its cause. */
export type Close = Pick<Transition, "error" | "final"> & { code: number; reason: string };

interface Receiver {
  _opened(): void;
  _receive(payload: Data): void;
  /** Sends a message that the server answers. */
  _probe(): void;
  _lost(close: Close): void;
}

/** Cuts a reason to the 123 bytes of a close frame, between characters. */
function cut(reason = ""): string {
  const characters = [...reason].slice(0, 123);
  while (toBytes(characters.join("")).length > 123) characters.pop();
  return characters.join("");
}

/** One WebSocket, from the dial to its close. */
export class Transport {
  private _socket?: WebSocketLike;
  private _ping?: () => void;
  /** Stops the timer of the dial, then that for a silent server. */
  private _stop = () => undefined as void;
  /** The time of the newest sign of life; -1 after a probe. */
  private _heard = -1;
  private _isOver = false;
  /** The text of a refusal; the close that follows says if it is final. */
  _refusal?: string;

  constructor(
    private _clock: Clock,
    private _options: Options,
    private _receiver: Receiver,
  ) {}

  /** Dials and calls the receiver. Attempt counts the earlier failures. */
  async _dial(url: string, attempt: number, isFirst: boolean): Promise<void> {
    const options = this._options;
    const timeout = options.dialTimeout ?? 10_000;
    if (timeout) this._stop = after(this._clock, timeout, () => this._fail(ErrTimeout));
    try {
      const target = absoluteURL(url);
      const { headers, query } = credentialsOf(await options.authenticate?.());
      if (this._isOver) return;
      const all = { ...options.headers, ...headers };
      // neffos servers pass the number of attempts on to the application.
      if (attempt) all["X-Websocket-Reconnect"] = String(attempt);
      const open = options.WebSocket ? openWith(options.WebSocket) : platform._open;
      await open({
        url: withParameters(target, Object.entries(query ?? {})),
        protocols: options.protocols,
        headers: Object.entries(all),
        isFirst,
        fail: (error, final, reason) => this._fail(error, final, reason),
        attach: (socket, ping) => this._attach(socket, ping),
        heard: () => this._hear(),
      });
    } catch (thrown) {
      // Another attempt with an invalid URL would fail in the same way.
      const isBad = thrown instanceof TypeError || (thrown as Error)?.name === "SyntaxError";
      this._fail(toError(thrown), isBad || isUnauthorized(thrown));
    }
  }

  /** The server has accepted the client. */
  _accepted(): void {
    this._hear();
    this._watch();
  }

  private _hear(): void {
    this._heard = this._clock.now();
  }

  /** Probes the server when it has been silent for long. */
  private _watch(): void {
    const limit = this._options.idleTimeout ?? 45_000;
    this._stop();
    if (!limit) return;
    const wait = (limit * 2) / 3 - (this._clock.now() - this._heard);
    if (wait > 0) this._stop = after(this._clock, wait, () => this._watch());
    else this._probe(limit / 3);
  }

  /** Asks for a sign of life, without which the connection is lost. */
  _probe(limit: number): void {
    if (this._heard < 0) return;
    this._heard = -1;
    (this._ping ?? this._receiver._probe)();
    const unsent = this._socket?.bufferedAmount;
    this._stop();
    this._stop = after(this._clock, limit, () => {
      // A server that takes what waited for it lives: the probe waits, too.
      if (unsent! > this._socket!.bufferedAmount!) this._hear();
      if (this._heard < 0) this._fail(ErrIdle);
      else this._watch();
    });
  }

  get _isOpen(): boolean {
    return this._socket?.readyState === 1; // WebSocket.OPEN
  }

  /** Sends a payload, a volatile one unless more than 16 KiB wait for the socket. */
  _send(payload: Data, isVolatile?: boolean): void {
    if (this._isOpen && !(isVolatile && this._socket!.bufferedAmount! > 16_384)) this._socket!.send(payload);
  }

  /** Closes the connection without waiting for the server. */
  _fail(error: Error, final = false, reason = ""): void {
    this._end({ code: 1006, reason, error, final });
  }

  /** Closes the connection without calling the receiver. */
  _close(code?: number, reason?: string): void {
    this._isOver = true;
    this._stop();
    const socket = this._socket;
    this._socket = undefined;
    if (!socket) return;
    socket.onopen = socket.onmessage = null;
    const text = cut(reason);
    try {
      socket.close(code, text);
    } catch {
      // Browsers send no codes but 1000 and those from 3000 to 4999.
      socket.close(1000, text);
    }
  }

  private _attach(socket: WebSocketLike, ping?: () => void): void {
    let isOpened = false;
    this._socket = socket;
    this._ping = ping;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      isOpened = true;
      this._receiver._opened();
    };
    socket.onmessage = ({ data }: { data: string | ArrayBuffer }) => {
      this._hear();
      this._receiver._receive(typeof data === "string" ? data : new Uint8Array(data));
    };
    // Without this handler ws would throw the error. Node.js 22 reports a failed
    // dial with this event only; an open connection has a close event, too.
    socket.onerror = ({ error }: { error?: Error }) => {
      if (!isOpened) this._end({ code: 1006, reason: "", error });
    };
    socket.onclose = ({ code, reason }: { code: number; reason: string }) => this._end({ code, reason });
    if (this._isOver) this._close();
  }

  private _end(close: Close): void {
    if (this._isOver) return;
    this._close();
    const { code } = close;
    const text = this._refusal;
    if (text !== undefined) close = { ...close, error: refusalFor(text, code), final: code < 1011 || code > 1013 };
    this._receiver._lost(close);
  }
}
