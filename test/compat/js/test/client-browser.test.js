// The client in a browser, loaded by a page without a build step.
import assert from "node:assert/strict";
import { after, before, it } from "node:test";

import { limit, startBrowser } from "../support/browser.js";
import { enter, openClient, until } from "../support/client-page.js";
import { peers, startPeer, startProgram } from "../support/program.js";

const quick = { reconnect: { base: 20, cap: 200 } };

let program;
let peer;
let browser;
let ada;
let ben;
before(async () => {
  program = await startProgram();
  peer = await startPeer(peers.stoa);
  browser = await startBrowser();
  ada = await openClient(browser, program.page);
  ben = await openClient(browser, program.page);
}, limit);
after(async () => {
  await browser?.close();
  await program?.kill();
  await peer?.kill();
});

const emit = (page, ...bodies) =>
  page.evaluate((all) => all.map((body) => window.room.emit("chat", body)), bodies);
const heard = (page, count) =>
  until(page, (wanted) => window.heard.length >= wanted, count).then(() =>
    page.evaluate(() => window.heard),
  );
const isConnectedAgain = (page) =>
  until(page, () => window.states.at(-1) === "connected" && window.states.includes("reconnecting"));

it("carries what two pages say to each other", limit, async () => {
  for (const { page } of [ada, ben]) {
    await enter(page, program.url, "agora; east side", quick);
  }
  await emit(ada.page, "Χαίρε, Ben; are you there? 🏛️");
  assert.deepEqual(await heard(ben.page, 1), ["Χαίρε, Ben; are you there? 🏛️"]);
  await emit(ben.page, "Yes.");
  assert.deepEqual(await heard(ada.page, 1), ["Yes."], "a sender does not receive its own message");
});

it("keeps the order of 1,000 messages", limit, async () => {
  await ben.page.evaluate(() => void (window.heard = []));
  await ada.page.evaluate(() => {
    for (let number = 0; number < 1000; number++) window.room.emit("chat", `number ${number}`);
  });
  const numbers = Array.from({ length: 1000 }, (_, number) => `number ${number}`);
  assert.deepEqual(await heard(ben.page, 1000), numbers);
});

it("is back in its room after the node was killed and started again", limit, async () => {
  const { port } = program;
  const earlier = await ada.page.evaluate(() => window.conn.ID);
  await program.kill();
  for (const { page } of [ada, ben]) {
    await until(page, () => window.states.at(-1) === "reconnecting");
    await page.evaluate(() => void (window.heard = []));
  }
  program = await startProgram({ port });
  for (const { page } of [ada, ben]) await isConnectedAgain(page);
  assert.notEqual(await ada.page.evaluate(() => window.conn.ID), earlier);
  await emit(ada.page, "here again");
  assert.deepEqual(await heard(ben.page, 1), ["here again"]);
});

it("notices that the browser is offline, and is back as soon as it is online", limit, async () => {
  const other = await openClient(browser, program.page);
  // Without the browser's "online" event, the second attempt would be far away.
  const patient = { reconnect: { base: 3_600_000, cap: 3_600_000 } };
  await enter(other.page, program.url, "islands", patient);
  await enter(ben.page, program.url, "islands", quick);
  await other.page.context().setOffline(true);
  // Chromium keeps open WebSockets while it is offline, so the server closes this one.
  const { port } = program;
  await program.kill();
  await until(other.page, () => window.states.at(-1) === "reconnecting");
  program = await startProgram({ port });
  await isConnectedAgain(ben.page);
  assert.equal(await other.page.evaluate(() => window.conn.state), "reconnecting");
  assert.equal((await emit(other.page, "kept offline"))[0], true);
  await other.page.context().setOffline(false);
  await isConnectedAgain(other.page);
  await until(ben.page, () => window.heard.includes("kept offline"));
  await other.page.context().close();
});

it("sends headers as parameters of the URL", limit, async () => {
  const answer = await ada.page.evaluate(async (url) => {
    const { conn } = window;
    conn.close();
    const options = { headers: { "X-User": "Ada & co" }, authenticate: () => ({ query: { token: "a=b" } }) };
    window.conn = await window.stoa.dial(url, { default: {} }, options);
    const nsConn = await window.conn.connect("default");
    const names = ["X-Websocket-Header-X-User", "token"];
    const answers = await Promise.all(names.map((name) => nsConn.ask("header", name)));
    window.conn.close();
    return answers.map((message) => message.Body);
  }, peer.url);
  assert.deepEqual(answer, ["Ada & co", "a=b"]);
});

it("gets the reason of a refusal, and what to do about it", limit, async () => {
  const refusals = await ada.page.evaluate(async (url) => {
    const results = [];
    for (const status of [401, 403]) {
      const { code, message } = await window.stoa
        .dial(`${url}?refuse=because&status=${status}`, { default: {} }, { protocols: ["unknown"] })
        .catch((error) => error);
      results.push([code, message]);
    }
    const abort = new AbortController();
    const later = await new Promise((resolve) => {
      const options = { signal: abort.signal, onState: resolve };
      window.stoa.dial(`${url}?refuse=later&status=503`, { default: {} }, options).catch(() => undefined);
    });
    abort.abort();
    return [...results, [later.code, later.error.message, later.state, later.delay >= 300]];
  }, peer.url);
  assert.deepEqual(refusals, [
    ["unauthorized", "because"],
    ["forbidden", "because"],
    [1013, "later", "connecting", true],
  ]);
});

it("offers subprotocols of which the server selects one", limit, async () => {
  const id = await ada.page.evaluate(async (url) => {
    const conn = await window.stoa.dial(url, { default: {} }, { protocols: ["chat.v2", "chat.v1"] });
    conn.close();
    return conn.ID;
  }, peer.url);
  assert.ok(id);
});

const reconnects = 1_500;

// Memory does not grow with the number of reconnects. The first two thirds are not
// measured, because the browser compiles code and grows its tables. The rest takes a few
// bytes per reconnect; a leaked socket or promise would take some hundred.
it(`takes no more memory after ${reconnects} reconnects`, { timeout: 120_000 }, async () => {
  const { page } = await openClient(browser, program.page);
  const session = await page.context().newCDPSession(page);
  const heap = async () => {
    await session.send("HeapProfiler.collectGarbage");
    const { usedSize } = await session.send("Runtime.getHeapUsage");
    return usedSize;
  };
  await enter(page, peer.url, "door", { reconnect: { base: 1, cap: 1 } });
  // The peer closes a connection that emits "end", here with "service restart".
  const cycle = (times) =>
    page.evaluate(
      (count) =>
        new Promise((resolve) => {
          let left = count;
          const forget = window.conn.on("state", ({ state }) => {
            if (state !== "connected") return;
            left--;
            if (left > 0) window.nsConn.emit("end", "1012 again");
            else resolve(forget());
          });
          window.nsConn.emit("end", "1012 again");
        }),
      times,
    );
  const third = async () => {
    await cycle(reconnects / 3);
    await page.evaluate(() => void window.states.splice(0));
    return heap();
  };
  await third();
  const grown = -(await third()) + (await third());
  assert.ok(grown < 100 * (reconnects / 3), `the heap has grown by ${grown} bytes`);
  assert.deepEqual(await page.evaluate(() => [...window.nsConn.rooms.keys()]), ["door"]);
  await page.context().close();
});

it("has reported no error", () => {
  for (const { problems } of [ada, ben]) {
    // The browser reports failed dials and the missing icon.
    const itself = /WebSocket connection to .* failed|Failed to load resource.* 404/;
    const own = problems.filter((problem) => !itself.test(problem));
    assert.deepEqual(own, []);
  }
});
