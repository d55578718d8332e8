import { ErrTimeout, ErrUnavailable } from "./errors.js";
import type { Message } from "./message.js";
import { OnNamespaceConnect, OnRoomJoin } from "./names.js";
import type { Session } from "./session.js";

/**
 * Connects all namespaces and joins all rooms again, in one round trip. A
 * refused one is removed. The promise rejects if the connection is lost before
 * the last answer, or if the server cannot answer at the moment.
 */
export async function rejoin(session: Session): Promise<void> {
  const answers: Promise<void>[] = [];
  const request = (m: Message, refused: (Err: Error) => unknown) =>
    answers.push(
      new Promise((resolve, reject) => {
        session._request(m, (answer, error) => {
          // These errors are temporary and no refusal.
          if (!answer || error === ErrUnavailable || error === ErrTimeout) return reject(error);
          if (error) void refused(error);
          resolve();
        });
      }),
    );
  for (const ns of session._namespaces.values()) {
    request(ns._message(OnNamespaceConnect), (Err) => session._removeNamespace(ns, { Err, IsForced: true }));
    for (const Room of ns.rooms.keys()) {
      request(ns._message(OnRoomJoin, { Room }), (Err) => {
        if (ns.rooms.delete(Room)) return session._notifyLeft(ns, Room, { Err, IsForced: true });
        return undefined;
      });
    }
  }
  await Promise.all(answers);
}
