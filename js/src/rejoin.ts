import { ErrTimeout, ErrUnavailable } from "./errors.js";
import type { Message } from "./message.js";
import { OnNamespaceConnect, OnRoomJoin } from "./names.js";
import type { Session } from "./session.js";

/**
 * Connects all namespaces and joins all rooms again, in one round trip. What
 * is refused now ends; the promise rejects if the connection is lost before
 * everything has been answered, or if it cannot be answered at the moment.
 */
export async function rejoin(session: Session): Promise<void> {
  const answers: Promise<void>[] = [];
  const again = (m: Message, refused: (Err: Error) => unknown) =>
    answers.push(
      new Promise((resolve, reject) => {
        session.question(m, (answer, error) => {
          // A server that cannot say yes at the moment has not said no.
          if (!answer || error === ErrUnavailable || error === ErrTimeout) return reject(error);
          if (error) void refused(error);
          resolve();
        });
      }),
    );
  for (const ns of session.namespaces.values()) {
    again(ns._about(OnNamespaceConnect), (Err) => session.ended(ns, { Err, IsForced: true }));
    for (const Room of ns.rooms.keys()) {
      again(ns._about(OnRoomJoin, { Room }), (Err) => {
        if (ns.rooms.delete(Room)) return session.left(ns, Room, { Err, IsForced: true });
        return undefined;
      });
    }
  }
  await Promise.all(answers);
}
