/** The body of a message on the wire: text, or bytes in a binary frame. */
export type Data = string | Uint8Array;

/** The type of a received body: text, bytes, or the JSON text of an object. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- programs without an event map
export type RawBody<B> = 0 extends 1 & B ? any : B extends Data ? B : string;

/** A received or sent message. B is the type of its body. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- programs without an event map
export class Message<B = any> {
  /** The token of the ask that the message belongs to; empty for an emit. */
  wait = "";
  Namespace = "";
  Room = "";
  Event = "";
  /** Text, or a Uint8Array if the message came in a binary frame. */
  Body = "" as RawBody<B>;
  /** The error, if the message carries one; Body is empty then. */
  Err?: Error;
  isError = false;
  isNoOp = false;
  /** Set if the connection or the namespace has ended without a request. */
  IsForced = false;
  /** Set if this side caused the event. */
  IsLocal = false;
  /** The position in the history of the room, if the room has one. */
  position = "";
  /** Set by the sender of an emit that may be dropped; see EmitOptions. */
  volatile?: boolean;
  /** Set if the payload is not a message of the protocol; Body holds it all. */
  IsNative = false;
  /** Set if the message travels in a binary frame. */
  SetBinary = false;

  constructor(fields?: Partial<Message>) {
    Object.assign(this, fields);
  }

  /** Parses the body as JSON; an empty body becomes undefined. */
  unmarshal(): B {
    const text = toText(this.Body);
    return (text ? JSON.parse(text) : undefined) as B;
  }
}

// The environment jsdom of jest has no TextEncoder and no TextDecoder, and some
// versions of React Native have no TextDecoder.

/** Returns the text of a body; decodes bytes as UTF-8. */
export function toText(data: Data): string {
  if (typeof data === "string") return data;
  if (globalThis.TextDecoder) return new TextDecoder().decode(data);
  return decodeURIComponent(Array.from(data, (byte) => `%${(byte + 256).toString(16).slice(1)}`).join(""));
}

/** Returns the bytes of a body or a payload; encodes text as UTF-8. */
export function toBytes(data: Data): Uint8Array {
  if (typeof data !== "string") return data;
  if (globalThis.TextEncoder) return new TextEncoder().encode(data);
  // Half a pair of UTF-16 units is replaced, as TextEncoder does.
  const escaped = encodeURIComponent(data.replace(/[\ud800-\udfff]/gu, "\ufffd")).match(/%..|./g) ?? [];
  return Uint8Array.from(escaped, (one) => (one[1] ? parseInt(one.slice(1), 16) : one.charCodeAt(0)));
}

/**
 * Encodes a value as JSON, as emit and ask do with objects. It throws a
 * TypeError for a value that JSON would lose: a function, NaN, bytes inside an
 * object, a Map, a Blob and the like.
 */
export function marshal(value: unknown): string {
  const text = JSON.stringify(value, check) as string | undefined;
  if (text === undefined) throw lost(value);
  return text;
}

const lost = (value: unknown) => new TypeError(`no JSON for ${String(value)}`);

/** Takes a part of a value as JSON.stringify is about to encode it. */
function check(_key: string, value: unknown): unknown {
  const isLost =
    typeof value === "number"
      ? !isFinite(value)
      : value &&
        typeof value === "object" &&
        (ArrayBuffer.isView(value) || !(/ (Object|Array)/.test({}.toString.call(value)) || Object.keys(value).length));
  if (isLost) throw lost(value);
  return value;
}

/** A handler's result that answers the message with a body. */
export class Reply<B = unknown> {
  constructor(readonly body: B) {}
}

/** Makes a handler's answer. The body may be empty. */
export function reply<B>(body: B): Reply<B> {
  return new Reply(body);
}

/** Reports whether a handler's result is a reply. */
export function isReply(result: unknown): result is Reply {
  return result instanceof Reply;
}
