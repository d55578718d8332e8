/**
 * An error of this package or of the server. The message is the text on the
 * wire if the error has one. Aborted signals and handlers bring their own
 * errors. The codes "gave_up", "unconfirmed" and "not_published" have the last
 * error as their cause.
 */
export class StoaError extends Error {
  override name = "StoaError";

  /**
   * @param code a word for programs: the text with underscores, "bad_options"
   *   for an option that cannot work, or "remote" for a text of the server that
   *   this package does not know.
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
/** The client must log in, or log in again; its code is also that of errors with a detail. */
export const ErrUnauthorized = define("unauthorized");
/** The request is understood and not allowed; its code is also that of errors with a detail. */
export const ErrForbidden = define("forbidden");
/** The handler of the other side has panicked. */
export const ErrInternal = define("internal error");
/** The token or a name is longer than its limit. */
export const ErrNameTooLong = define("name too long");
/** The connection may not connect to one more namespace. */
export const ErrTooManyNamespaces = define("too many namespaces");
/** The connection may not join one more room. */
export const ErrTooManyRooms = define("too many rooms");
/** The connection has as many asks open as it may. */
export const ErrTooManyAsks = define("too many asks");
/** The room has as many members as it may. */
export const ErrRoomFull = define("room full");
/** The ID of a confirmed emit is that of another message. */
export const ErrIDReused = define("id reused");
/** The connection that was asked does not exist any more. */
export const ErrGone = define("gone");
/** The room that was asked has no other members. */
export const ErrNobody = define("nobody there");
/** The connection is closed for good. */
export const ErrClosed = define("use of closed connection");
/** The connection was lost before the answer arrived, or is reconnecting. */
export const ErrDisconnected = define("connection lost");
/** The message is longer than Options.messageLimit, or than the server allows. */
export const ErrTooBig = define("message too big");
/** The server sent nothing for Options.idleTimeout. */
export const ErrIdle = define("idle timeout");
/** The send buffer is full while the connection is lost. */
export const ErrBufferFull = define("buffer full");
/** The handlers or a loop over NSConn.events are slower than the messages. */
export const ErrSlowReader = define("slow reader");

/** The text of an error without one. */
export const unspecified = "unspecified error";

/** Converts an error text of the server; an empty text is an error, too. */
export function errorFor(text: string): StoaError {
  return known.get(text) ?? new StoaError(text || unspecified, /^(forbidden|unauthorized): /.exec(text)?.[1] ?? "remote");
}

// The words for the close codes that refuse a client; see wire/codes.go.
const refusals: Record<number, string | undefined> = { 1013: "unavailable", 4004: "unauthorized", 4401: "unauthorized", 4403: "forbidden" };

/** Converts a refusal with a text and the close code that followed it. */
export function refusalFor(text: string, code: number): StoaError {
  return refusals[code] ? new StoaError(text || unspecified, refusals[code]) : errorFor(text);
}

/** Returns the cause of a close, by default one that the server gave. */
export function closeCause({ error, code = 0, reason }: { error?: Error; code?: number; reason?: string }): Error {
  return error ?? new StoaError(reason || `closed with code ${code}`, refusals[code] ?? "closed");
}

/** Returns an error with a cause, such as that of too many failed attempts. */
export function withCause(text: string, code: string, cause: unknown): Error {
  return Object.assign(new StoaError(text, code), { cause });
}

/** Returns an error for an option that cannot work. */
export const badOption = (name: string, value: string) => new StoaError(`bad options: ${name} ${JSON.stringify(value)}`, "bad_options");

/** Converts anything thrown to an error. */
export function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

/** Reports whether authenticate has said that the client cannot log in. */
export const isUnauthorized = (error: unknown): boolean => (error as StoaError | undefined)?.code === "unauthorized";

/** Reports whether an error says that the connection is closed or was lost. */
export function isCloseError(error: unknown): boolean {
  return error instanceof Error && /write closed|closed connection|connection lost/.test(error.message);
}
