import type { Conn } from "./conn.js";
import type { AnswerOf, BodyOf, BodyParameter, Handler, Name } from "./events.js";
import { Message } from "./message.js";
import type { AskOptions } from "./options.js";
import { all } from "./promises.js";
import type { Room } from "./room.js";
import type { Session } from "./session.js";
import { Stream } from "./stream.js";

/** A connected namespace. It lasts through reconnects, until it is disconnected. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- programs without an event map
export class NSConn<E = any> {
  /** The rooms that are joined, by name. Changed by joinRoom and leave only. */
  readonly rooms = new Map<string, Room<E>>();
  // With the event that each wants; undefined is every event.
  private _streams = new Map<Stream, string | undefined>();

  /** @internal */
  constructor(
    // eslint-disable-next-line @typescript-eslint/no-explicit-any -- a namespace knows its own events only
    readonly conn: Conn<any>,
    readonly namespace: string,
    /** @internal */
    readonly _events: Map<string, Handler>,
    /** @internal */
    readonly _session: Session,
  ) {}

  /** Sends an event; false if the message was not taken. */
  emit<K extends Name<E>>(event: K, ...[body]: BodyParameter<E[K]>): boolean {
    return this.conn.write(this._about(event, { Body: body }));
  }

  /** Sends an event in a binary frame. */
  emitBinary<K extends Name<E>>(event: K, body: Uint8Array): boolean {
    return this.conn.write(this._about(event, { Body: body }));
  }

  /** Sends an event and resolves to the answer; rejects if that is an error. */
  ask<K extends Name<E>>(event: K, body?: BodyOf<E[K]>, options?: AskOptions): Promise<Message<AnswerOf<E[K]>>> {
    return this.conn.ask(this._about(event, { Body: body }), options);
  }

  /** Joins a room, or returns the one that is joined. */
  joinRoom(name: string, options?: AskOptions): Promise<Room<E>> {
    return this._session.join(this, name, options);
  }

  /** A room that is joined. */
  room(name: string): Room<E> | undefined {
    return this.rooms.get(name);
  }

  /** Leaves all rooms; rejects with the first refusal, after all have been answered. */
  leaveAll(options?: AskOptions): Promise<void> {
    return all([...this.rooms.values()].map((room) => room.leave(options)));
  }

  /** Leaves the namespace; rejects if the server refuses. */
  disconnect(options?: AskOptions): Promise<void> {
    return this._session.disconnect(this, options);
  }

  /**
   * Iterates over what arrives from now on, one event's messages or all. It
   * ends with the namespace. What is not read yet is kept, without a limit.
   */
  events<K extends Name<E>>(event?: K): AsyncIterableIterator<Message<BodyOf<E[K]>>> {
    const stream = new Stream((ended) => this._streams.delete(ended));
    this._streams.set(stream, event);
    return stream;
  }

  /** Hands a message to those who iterate. @internal */
  _tell(message: Message): void {
    for (const [stream, event = message.Event] of this._streams) {
      if (event === message.Event) stream._push(message);
    }
  }

  /** @internal */
  _end(): void {
    for (const stream of this._streams.keys()) stream._end();
  }

  /** Makes a message of this namespace. @internal */
  _about(Event: string, fields?: Partial<Message>): Message {
    return new Message({ ...fields, Namespace: this.namespace, Event });
  }
}
