import * as errors from "./errors.js";
import type { Message } from "./message.js";
import * as names from "./names.js";
import { thenMaybe } from "./promises.js";
import type { Session } from "./session.js";

// Both sides may send opposite requests at the same time. A request is refused
// while this side asks for the opposite; otherwise each side would end in the
// state in which the other one began.

// The length of the names of what the server brings the client into.
const maxNames = 2048;

/** Decides on a system request of the server and answers it. */
export function answerRequest(session: Session, m: Message, epoch: number): unknown {
  const ns = session._namespaces.get(m.Namespace);
  const accept = () => session._answer(m, epoch);
  const refuse = (error: Error) => session._refuse(m, epoch, error);
  // Accepts the removal of something that does not exist, unless this side is
  // about to create it.
  // A server must not take the memory of its clients.
  const limited = (count: number, limit: number, error: Error) =>
    count >= limit ? error : m.Namespace.length + m.Room.length > maxNames ? errors.ErrNameTooLong : undefined;
  const removeAbsent = (opposite: string, error: Error) => (session._isAsking(opposite, m) ? refuse(error) : accept());

  switch (m.Event) {
    case names.OnNamespaceConnect: {
      const excess = !ns && limited(session._namespaces.size, session._driver._maxNamespaces, errors.ErrTooManyNamespaces);
      if (excess) return refuse(excess);
      const added = ns ?? session._driver._newNamespace(m.Namespace);
      if (!added) return refuse(errors.ErrBadNamespace);
      const decide = (refusal?: unknown) => {
        if (refusal instanceof Error) return refuse(refusal);
        if (session._isAsking(names.OnNamespaceDisconnect, m)) return refuse(errors.ErrUnavailable);
        accept();
        if (session._namespaces.has(m.Namespace) || epoch !== session._epoch) return undefined;
        return session._addNamespace(added, { Body: m.Body });
      };
      return ns ? decide() : session._callHandler(added, m, decide);
    }
    case names.OnNamespaceDisconnect:
      if (!ns) return removeAbsent(names.OnNamespaceConnect, errors.ErrBadNamespace);
      return session._removeNamespace(ns, { Body: m.Body }, accept);
    case names.OnRoomJoin: {
      if (!ns) return refuse(errors.ErrBadNamespace);
      const rooms = [...session._namespaces.values()].reduce((sum, { rooms }) => sum + rooms.size, 0);
      const excess = !ns.rooms.has(m.Room) && limited(rooms, session._driver._maxRooms, errors.ErrTooManyRooms);
      if (excess) return refuse(excess);
      const decide = (refusal?: unknown) => {
        if (refusal instanceof Error) return refuse(refusal);
        if (!session._has(ns)) return refuse(errors.ErrBadNamespace);
        if (session._isAsking(names.OnRoomLeave, m)) return refuse(errors.ErrUnavailable);
        if (epoch !== session._epoch) return undefined;
        return thenMaybe(ns.rooms.has(m.Room) || session._addRoom(ns, m.Room, { Body: m.Body }), accept);
      };
      return ns.rooms.has(m.Room) ? decide() : session._callHandler(ns, m, decide);
    }
    case names.OnRoomLeave:
      if (!ns) return refuse(errors.ErrBadNamespace);
      if (session._abort(m, errors.ErrBadRoom)) return accept();
      if (!ns.rooms.delete(m.Room)) return removeAbsent(names.OnRoomJoin, errors.ErrBadRoom);
      return session._notifyLeft(ns, m.Room, { Body: m.Body }, accept);
    default:
      return refuse(errors.ErrUnhandled);
  }
}
