import type { AnswerOf, BodyOf, BodyParameter, Name } from "./events.js";
import { Message } from "./message.js";
import type * as model from "./model.js";
import { OnAnyEvent } from "./names.js";
import type { AskOptions, EmitOptions, EventsOptions, JoinOptions, PublishOptions } from "./options.js";
import { Stream } from "./stream.js";

/** The requests to the server that a session makes for a namespace. */
export interface SessionRequests {
  readonly _publisher: { _publish(room: RoomState, event: string, body: unknown, options?: PublishOptions): Promise<string> };
  _ask<T>(m: Message, options: AskOptions | undefined, apply: (answer: Message) => T): Promise<Awaited<T>>;
  _join(ns: NSConn, name: string, options?: JoinOptions): Promise<model.Room>;
  _leave(ns: NSConn, room: model.Room, options?: AskOptions): Promise<void>;
  _leaveAll(ns: NSConn, options?: AskOptions): Promise<void>;
  _disconnect(ns: NSConn, options?: AskOptions): Promise<void>;
}

/** A room with the position up to which it has arrived. See Room. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- programs without an event map
export interface RoomState<E = any> extends Omit<model.Room<E>, "position"> {
  position: string;
  _received: string;
  _begin(isUnderstood: boolean): string | false;
  _end(body: string): string | undefined;
  _receive(position: string): string;
}

/** A connected namespace. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- programs without an event map
export class NSConn<E = any> implements model.NSConn<E> {
  readonly rooms = new Map<string, RoomState<E>>();
  /** The joined rooms whose handlers still run. */
  readonly _entering = new Map<string, RoomState<E>>();
  // The event of each stream; undefined is every event.
  private _streams = new Map<Stream, string | undefined>();

  constructor(
    // eslint-disable-next-line @typescript-eslint/no-explicit-any -- a namespace knows only its own events
    readonly conn: model.Conn<any>,
    readonly namespace: string,
    readonly _handlers: Map<string, model.Handler>,
    readonly _session: SessionRequests,
  ) {}

  emit<K extends Name<E>>(event: K, ...[body, options]: BodyParameter<E[K]>): boolean {
    return this.conn.write(this._message(event, { ...options, Body: body }));
  }

  emitBinary<K extends Name<E>>(event: K, body: Uint8Array, options?: EmitOptions): boolean {
    return this.conn.write(this._message(event, { ...options, Body: body }));
  }

  ask<K extends Name<E>>(event: K, body?: BodyOf<E[K]>, options?: AskOptions): Promise<Message<AnswerOf<E[K]>>> {
    return this.conn.ask(this._message(event, { Body: body }), options);
  }

  joinRoom(name: string, options?: JoinOptions): Promise<model.Room<E>> {
    return this._session._join(this, name, options);
  }

  room(name: string): model.Room<E> | undefined {
    return this.rooms.get(name);
  }

  leaveAll(options?: AskOptions): Promise<void> {
    return this._session._leaveAll(this, options);
  }

  disconnect(options?: AskOptions): Promise<void> {
    return this._session._disconnect(this, options);
  }

  events<K extends Name<E>>(event?: K, options?: EventsOptions): AsyncIterableIterator<Message<BodyOf<E[K]>>> {
    const stream = new Stream(options?.limit ?? 1000, (ended) => this._streams.delete(ended));
    this._streams.set(stream, event);
    return stream;
  }

  /** The handler of an event; the default is that of any event. */
  _handlerOf({ Event }: Message): model.Handler | undefined {
    return this._handlers.get(Event) ?? this._handlers.get(OnAnyEvent);
  }

  /** Passes a message to the streams. */
  _push(message: Message): void {
    for (const [stream, event = message.Event] of this._streams) {
      if (event === message.Event) stream._push(message);
    }
  }

  _end(): void {
    for (const stream of this._streams.keys()) stream._end();
  }

  /** Makes a message of this namespace. */
  _message(Event: string, fields?: Partial<Message>): Message {
    return new Message({ ...fields, Namespace: this.namespace, Event });
  }
}
