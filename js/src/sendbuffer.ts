import { ErrBufferFull, ErrDisconnected } from "./errors.js";
import type { BufferOptions } from "./options.js";

interface Entry {
  _size: number;
  _run(): void;
  _fail(error: Error): void;
}

/** A bounded buffer of unsent messages while the connection is lost. */
export class SendBuffer {
  private _entries = new Set<Entry>();
  private _size = 0;

  constructor(private _options: BufferOptions) {}

  /** Keeps an entry, or returns the error without calling the entry's _fail. */
  _add(entry: Entry): Error | undefined {
    const { policy = "keep", messages = 256, bytes = 1 << 20 } = this._options;
    if (policy !== "keep") return ErrDisconnected;
    if (this._entries.size >= messages || this._size + entry._size > bytes) return ErrBufferFull;
    this._entries.add(entry);
    this._size += entry._size;
    return undefined;
  }

  _remove(entry: Entry): void {
    if (this._entries.delete(entry)) this._size -= entry._size;
  }

  /** Runs the entries in order while the connection is open. */
  _flush(isOpen: () => boolean): void {
    for (const entry of this._entries) {
      if (!isOpen()) return;
      this._remove(entry);
      entry._run();
    }
  }

  _fail(error: Error): void {
    for (const entry of this._entries) {
      this._remove(entry);
      entry._fail(error);
    }
  }
}
