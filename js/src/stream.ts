import type { Message } from "./message.js";

const done: IteratorReturnResult<undefined> = { value: undefined, done: true };

/** An iteration over messages. */
export class Stream implements AsyncIterableIterator<Message> {
  private _unread: Message[] = [];
  private _readers: ((result: IteratorResult<Message>) => void)[] = [];
  private _isOver = false;

  /** Forget is called when the stream takes no more messages. */
  constructor(private _forget: (stream: Stream) => void) {}

  async next(): Promise<IteratorResult<Message>> {
    const value = this._unread.shift();
    if (value) return { value, done: false };
    return this._isOver ? done : new Promise((resolve) => this._readers.push(resolve));
  }

  return(): Promise<IteratorResult<Message>> {
    this._unread = [];
    this._end();
    return this.next();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  _push(message: Message): void {
    const reader = this._readers.shift();
    if (reader) reader({ value: message, done: false });
    else this._unread.push(message);
  }

  /** Takes no more messages. The kept ones can still be read. */
  _end(): void {
    this._isOver = true;
    this._forget(this);
    for (const reader of this._readers.splice(0)) reader(done);
  }
}
