// Many clients of stoa-client for the tests in this folder. The argument describes the
// clients. Standard input has orders as lines of JSON, standard output reports of all
// emissions and messages. The process ends at the end of standard input.
import { createInterface } from "node:readline";

import { dial } from "../../js/dist/esm/index.js";

const namespace = "default";
const { url, pause, burst, total, reconnect, buffer, guests } = JSON.parse(process.argv[2]);

let lines = [];

/** What happens at about the same time is one write: a pipe is written at once, and waits for the reader. */
function tell(line) {
  if (lines.push(JSON.stringify(line)) > 1) return;
  setTimeout(() => {
    process.stdout.write(`${lines.join("\n")}\n`);
    lines = [];
  });
}

class Guest {
  constructor({ place, rooms }) {
    this.place = place;
    this.rooms = rooms;
    this.next = 0;
    this.joined = [];
  }

  tell(what, fields) {
    tell({ guest: this.place, what, at: Date.now(), ...fields });
  }

  async enter() {
    const heard = (nsConn, { Room, Event, Body }) => this.tell("heard", { room: Room, event: Event, body: Body });
    this.conn = await dial(
      url,
      { [namespace]: { message: heard, mark: heard } },
      {
        authenticate: () => {
          this.tell("attempt");
          return {};
        },
        onState: (transition) => this.turned(transition),
        reconnect,
        buffer,
      },
    );
    this.conn.on("error", (error) => this.tell("problem", { text: String(error) }));
    const nsConn = await this.conn.connect(namespace);
    for (const name of this.rooms) this.joined.push(await nsConn.joinRoom(name));
    this.tell("entered", { id: this.conn.ID });
  }

  turned({ state, previous, delay, code, error }) {
    if (state === "reconnecting") {
      this.tell("wait", { delay, first: previous === "connected" });
      if (previous === "connected") for (let i = 0; i < burst; i++) this.emit();
    } else if (state === "connected" && previous === "reconnecting") {
      const rooms = [...this.conn.namespace(namespace).rooms.keys()];
      this.tell("back", { id: this.conn.ID, number: this.next, rooms });
    } else if (state === "closed" && !leaving) {
      this.tell("problem", { text: `closed with code ${code}: ${error}` });
    }
  }

  emit() {
    this.put(this.next % this.joined.length, "message", `${this.place}.${this.next}`);
  }

  mark(round) {
    for (const i of this.joined.keys()) this.put(i, "mark", `${this.place}.${this.next}.${round}`);
  }

  put(room, event, body) {
    const at = Date.now();
    const away = this.conn.state === "reconnecting";
    const taken = this.joined[room].emit(event, body);
    this.tell("emitted", { at, room: this.rooms[room], event, number: this.next++, kept: taken && away, refused: !taken });
  }

  /** Emits at intervals, and for the first time after a part of one that is different for each guest. */
  begin() {
    const first = (pause * this.place) / total;
    this.timer = setTimeout(() => {
      this.emit();
      this.timer = setInterval(() => this.emit(), pause);
    }, first);
  }

  end() {
    clearTimeout(this.timer);
    this.tell("ended");
  }
}

const all = guests.map((about) => new Guest(about));
let leaving = false;

const orders = {
  begin: () => all.forEach((guest) => guest.begin()),
  mark: ({ round }) => all.forEach((guest) => guest.mark(round)),
  end: () => all.forEach((guest) => guest.end()),
};

createInterface({ input: process.stdin })
  .on("line", (line) => {
    const order = JSON.parse(line);
    orders[order.order](order);
  })
  .on("close", () => {
    leaving = true;
    for (const guest of all) {
      guest.end();
      guest.conn?.close();
    }
  });

await Promise.all(all.map((guest) => guest.enter()));
