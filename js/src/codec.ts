import { errorFor, unspecified } from "./errors.js";
import { marshal, Message, toBytes, toText, type Data } from "./message.js";

// token ; namespace ; room ; event ; error ; no-op ; body
const separators = 6;
const semicolon = 59;
const escaped = "@%!semicolon@%!";

export const escape = (name: string) => name.replaceAll(";", escaped);
const unescape = (name: string) => name.replaceAll(escaped, ";");

/** The first payload of a client. Servers of neffos read only its first byte. */
export const hello = "M positions volatile";

/** Encodes a body: objects become JSON, undefined and null the empty text. */
export function encode(body: unknown): Data {
  if (typeof body === "string" || body instanceof Uint8Array) return body;
  if (ArrayBuffer.isView(body)) return new Uint8Array(body.buffer, body.byteOffset, body.byteLength);
  if (body instanceof ArrayBuffer) return new Uint8Array(body);
  return body === undefined || body === null ? "" : marshal(body);
}

/** Encodes a message as a payload: text, or bytes for a binary frame. */
export function serialize(m: Message): Data {
  const body = m.Err ? m.Err.message || unspecified : encode(m.Body);
  if (m.IsNative && !m.wait) return body;
  const head = [
    m.wait,
    escape(m.Namespace),
    escape(m.Room),
    escape(m.Event),
    m.Err || m.isError ? 1 : 0,
    m.isNoOp ? 1 : 0,
    "",
  ].join(";");
  // A text frame cannot carry bytes that are not UTF-8.
  if (typeof body === "string" && !m.SetBinary) return head + body;
  return join(toBytes(head), toBytes(body));
}

/** Concatenates bytes. */
export function join(start: Uint8Array, rest: Uint8Array): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(start.length + rest.length);
  all.set(start);
  all.set(rest, start.length);
  return all;
}

/** Decodes a payload; undefined if it has fewer than six semicolons. */
export function parse(payload: Data): Message | undefined {
  const text = typeof payload === "string";
  let start = 0;
  for (let i = 0; i < separators; i++) {
    start = 1 + (text ? payload.indexOf(";", start) : payload.indexOf(semicolon, start));
    if (!start) return undefined;
  }
  const fields = toText(payload.slice(0, start)).split(";");
  const [Namespace, Room, Event] = fields.slice(1).map(unescape);
  const body = payload.slice(start);
  const isError = fields[4] === "1";
  return new Message({
    wait: fields[0],
    Namespace,
    Room,
    Event,
    isError,
    isNoOp: fields[5] === "1",
    SetBinary: !text,
    ...(isError ? { Err: errorFor(toText(body)) } : { Body: body }),
  });
}
