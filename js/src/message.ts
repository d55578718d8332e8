/** What travels in the body of a message: text, or bytes in a binary frame. */
export type Data = string | Uint8Array;

/** The part of a body's type that arrives as it is; objects arrive as JSON text. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- programs without an event map
export type RawBody<B> = 0 extends 1 & B ? any : B extends Data ? B : string;

/** A message, received or to be written. B is the type of its body. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- programs without an event map
export class Message<B = any> {
  /** The token of whoever waits for an answer; empty if nobody does. */
  wait = "";
  Namespace = "";
  Room = "";
  Event = "";
  /** Text, or a Uint8Array if the message came in a binary frame. */
  Body = "" as RawBody<B>;
  /** Set if the message carries an error; Body is empty then. */
  Err?: Error;
  isError = false;
  isNoOp = false;
  /** Nobody was asked: the connection or the namespace ended. */
  IsForced = false;
  /** This side brought it about. */
  IsLocal = false;
  /** The payload is no message of the protocol, Body is all there is. */
  IsNative = false;
  /** The message travels in a binary frame. */
  SetBinary = false;

  constructor(fields?: Partial<Message>) {
    Object.assign(this, fields);
  }

  /** Parses the body as JSON; an empty body is undefined. */
  unmarshal(): B {
    const text = toText(this.Body);
    return (text ? JSON.parse(text) : undefined) as B;
  }
}

/** The text of a body; bytes are read as UTF-8. */
export function toText(data: Data): string {
  return typeof data === "string" ? data : new TextDecoder().decode(data);
}

/** Serialises a value for a body. Bodies that are neither text nor bytes are so anyway. */
export function marshal(value: unknown): string {
  return JSON.stringify(value);
}

/** What a handler returns to answer the message with a body. */
export class Reply<B = unknown> {
  constructor(readonly body: B) {}
}

/** Answers the message that a handler was called with; any body will do, also an empty one. */
export function reply<B>(body: B): Reply<B> {
  return new Reply(body);
}

/** Reports whether a handler's result is a reply. */
export function isReply(result: unknown): result is Reply {
  return result instanceof Reply;
}
