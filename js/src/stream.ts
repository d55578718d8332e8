import type { Message } from "./message.js";

const nothing: IteratorReturnResult<undefined> = { value: undefined, done: true };

/** The messages of a namespace as they come, until it is disconnected. */
export class Stream implements AsyncIterableIterator<Message> {
  private _messages: Message[] = [];
  private _readers: ((result: IteratorResult<Message>) => void)[] = [];
  private _ended = false;

  constructor(private _forget: (stream: Stream) => void) {}

  async next(): Promise<IteratorResult<Message>> {
    const value = this._messages.shift();
    if (value) return { value, done: false };
    return this._ended ? nothing : new Promise((resolve) => this._readers.push(resolve));
  }

  return(): Promise<IteratorResult<Message>> {
    this._messages = [];
    this._end();
    return this.next();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** @internal */
  _push(message: Message): void {
    const reader = this._readers.shift();
    if (reader) reader({ value: message, done: false });
    else this._messages.push(message);
  }

  /** What has come before is still read. @internal */
  _end(): void {
    this._ended = true;
    this._forget(this);
    for (const reader of this._readers.splice(0)) reader(nothing);
  }
}
