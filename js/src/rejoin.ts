import { ErrTimeout, ErrUnavailable } from "./errors.js";
import { toText, type Message } from "./message.js";
import { OnHistoryGap, OnNamespaceConnect, OnPresence, OnRoomJoin } from "./names.js";
import type { NSConn, RoomState } from "./nsconn.js";
import { follow } from "./room.js";
import type { Session } from "./session.js";

/**
 * Connects all namespaces and joins all rooms again, in one round trip. A
 * refused one is removed. The promise rejects if the connection is lost before
 * the last answer, or if the server cannot answer at the moment.
 */
export async function rejoin(session: Session): Promise<void> {
  const answers: Promise<void>[] = [];
  const request = (ns: NSConn, m: Message, refused: (Err: Error) => unknown, room?: RoomState) =>
    answers.push(
      new Promise((resolve, reject) => {
        session._request(m, (answer, error) => {
          // These errors are temporary and no refusal.
          if (!answer || error === ErrUnavailable || error === ErrTimeout) return reject(error);
          if (error) void refused(error);
          else if (room) {
            const position = room._end(toText(answer.Body));
            const { _queue } = session._driver;
            // Earlier messages can wait for their handlers.
            _queue._push(follow(room));
            if (ns._handlers.has(OnPresence)) _queue._push(() => session._notify(ns, OnPresence, { Room: room.name, Body: '{"stale":true,"count":0}' }));
            if (position !== undefined) _queue._push(() => session._notify(ns, OnHistoryGap, { Room: room.name, position }));
          }
          resolve();
        }, room);
      }),
    );
  for (const ns of session._namespaces.values()) {
    request(ns, ns._message(OnNamespaceConnect), (Err) => session._removeNamespace(ns, { Err, IsForced: true }));
    for (const [Room, room] of ns.rooms) {
      const refused = (Err: Error) => {
        if (ns.rooms.delete(Room)) return session._notifyLeft(ns, Room, { Err, IsForced: true });
        return undefined;
      };
      request(ns, ns._message(OnRoomJoin, { Room }), refused, room);
    }
  }
  await Promise.all(answers);
}
