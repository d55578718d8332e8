import * as errors from "./errors.js";
import type { Message } from "./message.js";
import * as names from "./names.js";
import { after } from "./promises.js";
import type { Session } from "./session.js";

// Both sides may ask for opposite things at the same time. A request is
// refused while an ask of this side for the opposite is in flight; else each
// side would end where the other one began.

/** Decides about a system request of the server and answers it. */
export function answerRequest(session: Session, m: Message, epoch: number): unknown {
  const ns = session.namespaces.get(m.Namespace);
  const accept = () => session.answer(m, epoch);
  const refuse = (error: Error) => session.refuse(m, epoch, error);
  /** Ends what is not there: the server has what it wants, unless this side is bringing it about. */
  const absent = (opposite: string, error: Error) => (session.asking(opposite, m) ? refuse(error) : accept());

  switch (m.Event) {
    case names.OnNamespaceConnect: {
      const place = ns ?? session.driver._place(m.Namespace);
      if (!place) return refuse(errors.ErrBadNamespace);
      const decide = (refusal?: unknown) => {
        if (refusal instanceof Error) return refuse(refusal);
        if (session.asking(names.OnNamespaceDisconnect, m)) return refuse(errors.ErrUnavailable);
        accept();
        if (session.namespaces.has(m.Namespace) || epoch !== session.epoch) return undefined;
        return session.connected(place, { Body: m.Body });
      };
      return ns ? decide() : session.fire(place, m, decide);
    }
    case names.OnNamespaceDisconnect:
      if (!ns) return absent(names.OnNamespaceConnect, errors.ErrBadNamespace);
      return session.ended(ns, { Body: m.Body }, accept);
    case names.OnRoomJoin: {
      if (!ns) return refuse(errors.ErrBadNamespace);
      const decide = (refusal?: unknown) => {
        if (refusal instanceof Error) return refuse(refusal);
        if (!session.holds(ns)) return refuse(errors.ErrBadNamespace);
        if (session.asking(names.OnRoomLeave, m)) return refuse(errors.ErrUnavailable);
        if (epoch !== session.epoch) return undefined;
        return after(ns.rooms.has(m.Room) || session.joined(ns, m.Room, { Body: m.Body }), accept);
      };
      return ns.rooms.has(m.Room) ? decide() : session.fire(ns, m, decide);
    }
    case names.OnRoomLeave:
      if (!ns) return refuse(errors.ErrBadNamespace);
      if (!ns.rooms.delete(m.Room)) return absent(names.OnRoomJoin, errors.ErrBadRoom);
      return session.left(ns, m.Room, { Body: m.Body }, accept);
    default:
      return refuse(errors.ErrUnhandled);
  }
}
