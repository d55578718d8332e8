import type { Message } from "./message.js";
import type { NSConn, PresenceChange, PresenceMember, Room } from "./model.js";

const keyOf = ({ user, conn }: PresenceMember) => (user ? `u${user}` : `c${conn}`);

/**
 * Keeps the members of one room up to date: call load when the room is joined,
 * and apply in the handler of the event _OnPresence. It ignores the changes of
 * other rooms, and all before the first load.
 */
export class Roster {
  /** The number of members, a user with several connections once. */
  count = 0;
  private _members = new Map<string, PresenceMember>();
  private _loading: Promise<unknown> = Promise.resolve();
  /** The room of the members. */
  private _room?: Room;
  /** The room of a load in progress, and its changes since that has begun. */
  private _next?: Room;
  private _since: PresenceChange[] = [];

  /** The members, in an order that does not change. */
  get members(): PresenceMember[] {
    return [...this._members].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, member]) => member);
  }

  /**
   * Reads all members of a room, page by page, and replaces those of the roster
   * with them. From then on apply takes the changes of this room. Where the
   * server shows numbers only, load reads the number. After an error the roster
   * is unchanged, but for that of the first load: then it is empty, and apply
   * takes the changes of the room.
   */
  load(room: Room): Promise<void> {
    const loading = this._loading.then(() => this._load(room));
    this._loading = loading.catch(() => undefined);
    return loading;
  }

  private async _load(room: Room): Promise<void> {
    const since: PresenceChange[] = (this._since = []);
    this._next = room;
    // If the connection is lost now, the reconnect can load it.
    this._room ??= room;
    const members = new Map<string, PresenceMember>();
    let count;
    let after: string | undefined;
    try {
      do {
        const page = await room.presence({ limit: 500, after });
        for (const member of page.members) members.set(keyOf(member), member);
        ({ count, next: after } = page);
      } while (after);
    } finally {
      this._next = undefined;
    }
    this._room = room;
    this._members = members;
    this.count = count;
    // To apply an older change to a newer page does no harm: all later ones follow.
    for (const change of since) this._change(change);
  }

  /**
   * Takes the message of the event _OnPresence of the loaded room, and ignores
   * those of other rooms. After a reconnect it loads.
   */
  apply(ns: NSConn, m: Message): Promise<void> | undefined {
    const change = m.unmarshal() as PresenceChange;
    const room = ns.room(m.Room);
    if (!room) return undefined;
    if (!change.stale) {
      if (room === this._next) this._since.push(change);
      if (room === this._room) this._change(change);
    } else if (room === this._room) return this.load(room);
    return undefined;
  }

  private _change({ joined = [], left = [], count }: PresenceChange): void {
    for (const member of joined) this._members.set(keyOf(member), member);
    for (const member of left) this._members.delete(keyOf(member));
    this.count = count;
  }
}
