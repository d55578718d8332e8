/**
 * What calls of this package fail with, unless a signal or a handler brought
 * its own error. The message is the text on the wire where there is one.
 */
export class StoaError extends Error {
  override name = "StoaError";

  /**
   * @param code a word for programs: the text with underscores, or "remote"
   *   for a text of the other side that this package does not know.
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
/** Nothing could be written, the connection is gone. */
export const ErrWrite = define("write closed");
/** The payload is no message. */
export const ErrInvalidPayload = define("invalid payload");
/** Nothing handles the event that was asked. */
export const ErrUnhandled = define("unhandled event");
/** The name is reserved for system events. */
export const ErrInvalidName = define("invalid name");
/** No answer came in time. */
export const ErrTimeout = define("timeout");
/** The request crossed its opposite, or cannot be served now. */
export const ErrUnavailable = define("unavailable");
// Understood and not allowed; told by nodes only.
define("forbidden");
/** The connection is closed for good. */
export const ErrClosed = define("use of closed connection");
/** The connection was lost before the answer came, or is away at the moment. */
export const ErrDisconnected = define("connection lost");
/** As much waits for the connection to come back as the buffer may hold. */
export const ErrBufferFull = define("buffer full");

/** What an error without a text says. */
export const unspecified = "unspecified error";

/** Resolves an error text of the other side; an empty text is an error too. */
export function errorFor(text: string): StoaError {
  return known.get(text) ?? new StoaError(text || unspecified, "remote");
}

/** Makes an error of whatever was thrown. */
export function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

/** Reports whether an error says that the connection is closed or was lost. */
export function isCloseError(error: unknown): boolean {
  return error instanceof Error && /write closed|closed connection|connection lost/.test(error.message);
}
