import { ErrBufferFull, ErrDisconnected } from "./errors.js";
import type { BufferOptions } from "./options.js";

interface Entry {
  size: number;
  run(): void;
  failed(error: Error): void;
}

/** What waits for the connection to come back, in order and bounded. */
export class Outbox {
  private _entries = new Set<Entry>();
  private _size = 0;

  constructor(private _options: BufferOptions) {}

  /** Keeps an entry; else returns why not, and does not call failed. */
  add(entry: Entry): Error | undefined {
    const { policy = "keep", messages = 256, bytes = 1 << 20 } = this._options;
    if (policy !== "keep") return ErrDisconnected;
    if (this._entries.size >= messages || this._size + entry.size > bytes) return ErrBufferFull;
    this._entries.add(entry);
    this._size += entry.size;
    return undefined;
  }

  remove(entry: Entry): void {
    if (this._entries.delete(entry)) this._size -= entry.size;
  }

  /** Runs what waits for as long as the connection is open. */
  flush(isOpen: () => boolean): void {
    for (const entry of this._entries) {
      if (!isOpen()) return;
      this.remove(entry);
      entry.run();
    }
  }

  fail(error: Error): void {
    for (const entry of this._entries) {
      this.remove(entry);
      entry.failed(error);
    }
  }
}
