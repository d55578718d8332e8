// examples/ticker with two neffos.js clients, one of them slow.
import assert from "node:assert/strict";
import { after, before, it } from "node:test";

import * as neffos from "neffos.js";

import { startExample, within } from "../support/program.js";

const count = 100_000;
const deadline = 90_000;

let program;
before(async () => {
  program = await startExample("ticker", ["-messages", String(count)]);
});
after(async () => {
  assert.equal(await program.stop(), 0, program.output);
});

/** Joins the room and follows the ticks, with some work for each. */
async function follow(work) {
  const follower = { received: 0, wrong: [] };
  follower.ended = new Promise((resolve, reject) => {
    follower.events = {
      [neffos.OnNamespaceDisconnect]: () => reject(new Error("the connection has ended")),
      ready: () => neffos.reply("yes"),
      tick: (_, message) => {
        follower.received += 1;
        if (message.Body !== String(follower.received)) follower.wrong.push(message.Body);
        work();
      },
      end: (_, message) => resolve(message.Body),
    };
  });
  follower.ended.catch(() => {}); // closing at the end is no failure
  follower.conn = await neffos.dial(program.url, { default: follower.events });
  const ns = await follower.conn.connect("default");
  follower.room = await ns.joinRoom("ticks");
  return follower;
}

it("broadcasts without loss", { timeout: deadline + 10_000 }, async () => {
  const quick = await follow(() => {});
  const slow = await follow(() => Array.from({ length: 200 }, (_, index) => index).reverse());
  quick.room.emit("start", "");
  for (const follower of [quick, slow]) {
    const ended = await within(
      deadline,
      follower.ended,
      () => `the broadcast did not end: ${follower.received} of ${count}`,
    );
    assert.equal(ended, String(count));
    assert.equal(follower.received, count);
    assert.deepEqual(follower.wrong.slice(0, 3), [], "every number once, and in order");
    follower.conn.close();
  }
});
