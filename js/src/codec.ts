import { errorFor, unspecified } from "./errors.js";
import { marshal, Message, toText, type Data } from "./message.js";

// token ; namespace ; room ; event ; error ; no-op ; body
const separators = 6;
const semicolon = 59;
const escaped = "@%!semicolon@%!";

const escape = (name: string) => name.replaceAll(";", escaped);
const unescape = (name: string) => name.replaceAll(escaped, ";");

/** The first payload of a client; only its first byte counts. */
export const hello = "M";

/** The positive answer to every system request. */
export function emptyReply(token: string): string {
  return token + ";".repeat(separators);
}

/** The body as it travels: objects become JSON, nothing becomes the empty text. */
function encode(body: unknown): Data {
  if (typeof body === "string" || body instanceof Uint8Array) return body;
  if (body instanceof ArrayBuffer) return new Uint8Array(body);
  return body === undefined || body === null ? "" : marshal(body);
}

/** Writes a message as the payload of a frame: text, or bytes for a binary one. */
export function serialize(m: Message): Data {
  let body = m.Err ? m.Err.message || unspecified : encode(m.Body);
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
  // Bytes that are no UTF-8 would not survive a text frame.
  if (typeof body === "string" && !m.SetBinary) return head + body;
  const encoder = new TextEncoder();
  if (typeof body === "string") body = encoder.encode(body);
  const start = encoder.encode(head);
  const payload = new Uint8Array(start.length + body.length);
  payload.set(start);
  payload.set(body, start.length);
  return payload;
}

/**
 * Reads a message from a payload; undefined if it has fewer than six
 * semicolons. The body of a binary message is a view into the payload.
 */
export function parse(payload: Data): Message | undefined {
  const text = typeof payload === "string";
  const fields: string[] = [];
  let start = 0;
  while (fields.length < separators) {
    const end = text ? payload.indexOf(";", start) : payload.indexOf(semicolon, start);
    if (end < 0) return undefined;
    fields.push(text ? payload.slice(start, end) : toText(payload.subarray(start, end)));
    start = end + 1;
  }
  const [wait, namespace, room, event, error, noOp] = fields as [string, string, string, string, string, string];
  const body = text ? payload.slice(start) : payload.subarray(start);
  const isError = error === "1";
  return new Message({
    wait,
    Namespace: unescape(namespace),
    Room: unescape(room),
    Event: unescape(event),
    isError,
    isNoOp: noOp === "1",
    SetBinary: !text,
    ...(isError ? { Err: errorFor(toText(body)) } : { Body: body }),
  });
}
