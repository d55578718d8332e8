import type { Message } from "./message.js";
import { OnNamespaceConnect, OnRoomJoin } from "./names.js";
import type { NSConn } from "./nsconn.js";
import type { Session } from "./session.js";

/**
 * Connects all namespaces and joins all rooms again, in one round trip. What
 * is refused now ends; the promise rejects if the connection is lost before
 * everything has been answered.
 */
export async function rejoin(session: Session): Promise<void> {
  const answers: Promise<void>[] = [];
  const again = (m: Message, refused: (Err: Error) => unknown) =>
    answers.push(
      new Promise((resolve, reject) => {
        session.question(m, (answer, error) => {
          if (!answer) return reject(error);
          if (error) void refused(error);
          resolve();
        });
      }),
    );
  for (const ns of session.namespaces.values()) {
    again(ns._about(OnNamespaceConnect), (Err) => {
      const fields = { Err, IsForced: true };
      return session.ended(ns, fields, fields);
    });
    for (const Room of ns.rooms.keys()) {
      again(ns._about(OnRoomJoin, { Room }), (Err) => refuseRoom(session, ns, Room, Err));
    }
  }
  await Promise.all(answers);
}

function refuseRoom(session: Session, ns: NSConn, name: string, Err: Error): unknown {
  return ns.rooms.delete(name) ? session.left(ns, name, { Err, IsForced: true }) : undefined;
}
