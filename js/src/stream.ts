import { ErrSlowReader } from "./errors.js";
import type { Message } from "./message.js";

const done: IteratorReturnResult<undefined> = { value: undefined, done: true };

/** An iteration over messages, with a bounded queue of unread ones. */
export class Stream implements AsyncIterableIterator<Message> {
  // An error ends the iteration.
  private _unread: (Message | Error)[] = [];
  private _readers: ((result: IteratorResult<Message>) => void)[] = [];
  private _isOver = false;

  /** Forget is called when the stream takes no more messages. */
  constructor(
    private _limit: number,
    private _forget: (stream: Stream) => void,
  ) {}

  async next(): Promise<IteratorResult<Message>> {
    const value = this._unread.shift();
    if (value instanceof Error) throw value;
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
    else if (this._unread.length < this._limit) this._unread.push(message);
    else {
      // A gap in the middle would go unnoticed; an error after the kept
      // messages does not.
      this._unread.push(ErrSlowReader);
      this._end();
    }
  }

  /** Takes no more messages. The kept ones can still be read. */
  _end(): void {
    this._isOver = true;
    this._forget(this);
    for (const reader of this._readers.splice(0)) reader(done);
  }
}
