/**
 * An error of this package or of the server. The message is the text on the
 * wire if the error has one. Aborted signals and handlers bring their own
 * errors.
 */
export class StoaError extends Error {
  override name = "StoaError";

  /**
   * @param code a word for programs: the text with underscores, or "remote"
   *   for a text of the server that this package does not know.
   */
  constructor(
    text: string,
    readonly code: string = text.replaceAll(" ", "_"),
  ) {
    super(text);
  }
}

const known = new Map<string, StoaError>();

function define(text: string): StoaError {
  const error = new StoaError(text);
  known.set(text, error);
  return error;
}

/** The namespace does not exist or is not connected. */
export const ErrBadNamespace = define("bad namespace");
/** The room does not exist or is not joined. */
export const ErrBadRoom = define("bad room");
/** The write failed because the connection is closed. */
export const ErrWrite = define("write closed");
/** The payload is not a message. */
export const ErrInvalidPayload = define("invalid payload");
/** The other side has no handler for the ask. */
export const ErrUnhandled = define("unhandled event");
/** The name is reserved for system events. */
export const ErrInvalidName = define("invalid name");
/** No answer arrived in time. */
export const ErrTimeout = define("timeout");
/** The request crossed its opposite, or cannot be served at the moment. */
export const ErrUnavailable = define("unavailable");
// Only nodes send these: the server does not allow the request, or its handler
// has panicked.
define("forbidden");
define("internal error");
/** The connection is closed for good. */
export const ErrClosed = define("use of closed connection");
/** The connection was lost before the answer arrived, or is reconnecting. */
export const ErrDisconnected = define("connection lost");
/** The send buffer is full while the connection is lost. */
export const ErrBufferFull = define("buffer full");
/** The loop over NSConn.events is slower than the messages that arrive. */
export const ErrSlowReader = define("slow reader");

/** The text of an error without one. */
export const unspecified = "unspecified error";

/** Converts an error text of the server; an empty text is an error, too. */
export function errorFor(text: string): StoaError {
  return known.get(text) ?? new StoaError(text || unspecified, "remote");
}

/** Converts anything thrown to an error. */
export function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

/** Reports whether an error says that the connection is closed or was lost. */
export function isCloseError(error: unknown): boolean {
  return error instanceof Error && /write closed|closed connection|connection lost/.test(error.message);
}
