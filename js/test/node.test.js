// Tests the additions of the build for Node.js over real sockets.
import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createTLSServer } from "node:https";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { WebSocketServer } from "ws";
import * as stoa from "../dist/esm/index.js";
import { rejection } from "./support/stoa.js";

const [key, cert] = ["key", "cert"].map((name) => readFileSync(new URL(`support/${name}.pem`, import.meta.url)));

/** Starts a server whose accept may return a status to refuse with. */
async function serve(t, accept, options) {
  const http = createServer();
  const sockets = new WebSocketServer({ noServer: true, ...options });
  http.on("upgrade", (request, socket, head) => {
    const status = accept?.(request);
    if (status) return socket.end(`HTTP/1.1 ${status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
    return sockets.handleUpgrade(request, socket, head, (ws) => sockets.emit("connection", ws, request));
  });
  await new Promise((resolve) => http.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    for (const ws of sockets.clients) ws.terminate();
    http.close();
  });
  return { sockets, url: `ws://127.0.0.1:${http.address().port}/ws` };
}

test("sends real headers", async (t) => {
  let seen;
  const { sockets, url } = await serve(t, (request) => void (seen = request));
  sockets.on("connection", (ws) => ws.on("message", () => ws.send("Aid")));
  const conn = await stoa.dial(`${url}?a=1`, { default: {} }, {
    headers: { "X-A": "1" },
    authenticate: () => ({ headers: { Authorization: "Bearer x" }, query: { b: "2" } }),
  });
  assert.equal(conn.ID, "id");
  assert.equal(seen.headers["x-a"], "1");
  assert.equal(seen.headers.authorization, "Bearer x");
  assert.equal(seen.url, "/ws?b=2&a=1");
  conn.close();
});

test("a client error is a refusal, other errors are retried", async (t) => {
  const { url } = await serve(t, () => 403);
  const error = await rejection(stoa.dial(url, { default: {} }));
  assert.deepEqual([error.message, error.code], ["refused with status 403", "forbidden"]);

  let attempts = 0;
  const later = await serve(t, () => (++attempts < 3 ? 503 : 0));
  later.sockets.on("connection", (ws) => ws.on("message", () => ws.send("Aid")));
  const conn = await stoa.dial(later.url, { default: {} }, { reconnect: 1 });
  assert.equal(attempts, 3);
  conn.close();
});

test("a refusal has its status, the beginning of its body and the suggested delay", async (t) => {
  const answer = (status, body, fields = "") => `HTTP/1.1 ${status} No\r\n${fields}Content-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`;
  let reply;
  const http = createServer();
  // The client cuts a long body off.
  http.on("upgrade", (request, socket) => socket.on("error", () => undefined).end(reply));
  await new Promise((resolve) => http.listen(0, "127.0.0.1", resolve));
  t.after(() => http.close());
  const url = `ws://127.0.0.1:${http.address().port}`;
  const dial = (options) => stoa.dial(url, { default: {} }, options);
  for (const [status, body, message, code] of [
    [401, "log in again\n", "refused with status 401: log in again", "unauthorized"],
    [403, "not you", "refused with status 403: not you", "forbidden"],
    [400, "", "refused with status 400", "refused"],
    [403, "x".repeat(100_000), `refused with status 403: ${"x".repeat(512)}`, "forbidden"],
  ]) {
    reply = answer(status, body);
    const error = await rejection(dial());
    assert.deepEqual([error.message, error.code], [message, code]);
  }
  reply = answer(503, "full", "Retry-After: 7\r\n");
  const abort = new AbortController();
  const transition = await new Promise((resolve) => {
    dial({ signal: abort.signal, onState: resolve }).catch(() => undefined);
  });
  abort.abort();
  assert.ok(transition.delay >= 7000 && transition.delay <= 10_500, `the delay is ${transition.delay}`);
  assert.equal(transition.error.message, "refused with status 503: full");

  // A body that never ends is not awaited.
  reply = answer(401, "log in").replace("Content-Length: 6", "Content-Length: 7");
  http.removeAllListeners("upgrade").on("upgrade", (request, socket) => socket.on("error", () => undefined).write(reply));
  assert.equal((await rejection(dial())).code, "unauthorized");
});

test("the reaction to an answer comes before the next message", async (t) => {
  const { sockets, url } = await serve(t);
  sockets.on("connection", (ws) => {
    ws.on("message", (data) => {
      const [token] = String(data).split(";");
      if (token === "M positions volatile") return ws.send("Aid");
      // All in one TCP segment.
      ws._socket.cork();
      ws.send(`${token};;;;;;`);
      for (let i = 0; i < 1000; i++) ws.send(`;default;;count;0;0;${i}`);
      return ws._socket.uncork();
    });
  });
  const conn = await stoa.dial(url, { default: {} });
  const ns = await conn.connect("default");
  let next = 0;
  for await (const { Body } of ns.events("count")) {
    assert.equal(Body, String(next));
    if (++next === 1000) break;
  }
  conn.close();
});

/** Copies a build to a folder in which the package ws is not installed. */
function copyWithoutWs(t, build = "esm/index.js") {
  const folder = mkdtempSync(join(tmpdir(), "stoa-"));
  t.after(() => rmSync(folder, { recursive: true }));
  copyFileSync(new URL(`../dist/${build}`, import.meta.url), join(folder, "index.mjs"));
  return pathToFileURL(join(folder, "index.mjs")).href;
}

test("uses the WebSocket of Node.js without the package ws", async (t) => {
  let seen;
  const { sockets, url } = await serve(t, (request) => void (seen = request));
  sockets.on("connection", (ws) => ws.on("message", () => ws.send("Aid")));
  const program = `
    import { dial } from ${JSON.stringify(copyWithoutWs(t))};
    if (!globalThis.WebSocket) throw new Error("no WebSocket");
    const conn = await dial(process.argv[1], { default: {} }, { headers: { "X-A": "1" } });
    process.stdout.write(conn.ID);
    conn.close();`;
  const flags = globalThis.WebSocket ? [] : ["--experimental-websocket"];
  const output = await run([...flags, "--input-type=module", "--eval", program, url]);
  assert.equal(output, "id");
  assert.equal(seen.headers["x-a"], "1");
});

test("names the package to install if there is no WebSocket", async (t) => {
  const program = `
    import { dial } from ${JSON.stringify(copyWithoutWs(t))};
    delete globalThis.WebSocket;
    await dial("ws://127.0.0.1:1", { default: {} }).catch(({ message, code }) => console.info(message, code));`;
  const output = await run(["--input-type=module", "--eval", program]);
  assert.equal(output, "no WebSocket: install the package ws, or Node.js 22 no_websocket\n");
});

// Nodes serve this build at /stoa.js.
test("the browser build fails at once if there is no WebSocket", async (t) => {
  const program = `
    import { dial } from ${JSON.stringify(copyWithoutWs(t, "stoa.min.js"))};
    delete globalThis.WebSocket;
    await dial("ws://127.0.0.1:1", { default: {} }).catch(({ message, code }) => console.info(message, code));`;
  const output = await run(["--input-type=module", "--eval", program]);
  assert.equal(output, "no WebSocket: needs Node.js 22, or the option WebSocket no_websocket\n");
});

// The WebSocket of Node.js hides the status, so the client cannot know that the
// refusal is final. The application must learn of each attempt.
test("the browser build in Node.js reports refused attempts, and retries", async (t) => {
  const { url } = await serve(t, () => 401);
  const program = `
    import { dial } from ${JSON.stringify(copyWithoutWs(t, "stoa.min.js"))};
    const onState = ({ state, final, error }) => console.info(state, final, error?.message);
    await dial(process.argv[1], { default: {} }, { onState, reconnect: { base: 1, attempts: 2 } }).catch(({ code }) => console.info(code));`;
  const flags = globalThis.WebSocket ? [] : ["--experimental-websocket"];
  const output = await run([...flags, "--input-type=module", "--eval", program, url]);
  assert.match(output, /^connecting (false|undefined) \S.*\nclosed .*\ngave_up\n$/);
});

test("takes a WebSocket for a standard one if it refuses headers", async (t) => {
  const program = `
    import { dial } from ${JSON.stringify(copyWithoutWs(t))};
    globalThis.WebSocket = class {
      constructor(url, protocols) {
        if (protocols) throw new DOMException(String(protocols), "SyntaxError");
        console.info(url);
        process.exit();
      }
    };
    dial("ws://127.0.0.1:1/ws", { default: {} }, { headers: { a: "1" } });`;
  assert.equal(await run(["--input-type=module", "--eval", program]), "ws://127.0.0.1:1/ws?X-Websocket-Header-a=1\n");
});

test("an answer without an upgrade ends the first dial only", async (t) => {
  const { url } = await serve(t, () => 200);
  assert.equal((await rejection(stoa.dial(url, { default: {} }))).message, "refused with status 200");

  let dials = 0;
  const replaced = await serve(t, () => (++dials === 2 ? 404 : 0));
  replaced.sockets.on("connection", (ws) => {
    ws.on("message", () => {
      ws.send("Aid");
      if (dials === 1) ws.close(1012);
    });
  });
  const conn = await stoa.dial(replaced.url, { default: {} }, { reconnect: 1 });
  await new Promise((resolve) => conn.on("state", ({ state }) => state !== "reconnecting" && resolve()));
  assert.equal(conn.state, "connected");
  assert.equal(dials, 3);
  conn.close();
});

test("the state says why a dial fails", async () => {
  const [error] = await new Promise((resolve) => {
    const conn = stoa.dial("ws://127.0.0.1:1", { default: {} }, { reconnect: { attempts: 2 }, dialTimeout: 0, onState: (t) => t.error && resolve([t.error]) });
    conn.catch(() => undefined);
  });
  assert.equal(error.code, "ECONNREFUSED");
});

test("a certificate that cannot be verified ends the first dial", async (t) => {
  const https = createTLSServer({ key, cert });
  await new Promise((resolve) => https.listen(0, "127.0.0.1", resolve));
  t.after(() => https.close());
  const error = await rejection(stoa.dial(`wss://127.0.0.1:${https.address().port}`, { default: {} }));
  assert.match(error.code, /CERT/);
});

test("close ends the connection to a silent peer", async (t) => {
  const { sockets, url } = await serve(t);
  let peer;
  sockets.on("connection", (ws) => {
    peer = ws._socket;
    ws.on("message", () => {
      ws.send("Aid");
      // From now on not even close frames are read.
      peer.pause();
    });
  });
  // The mock cannot stop timers that started before.
  const conn = await stoa.dial(url, { default: {} }, { idleTimeout: 0, dialTimeout: 0 });
  t.mock.timers.enable({ apis: ["setTimeout"] });
  conn.close();
  const closed = new Promise((resolve) => peer.on("close", resolve));
  t.mock.timers.tick(5000);
  peer.resume();
  await closed;
});

test("notices that the peer has vanished", async (t) => {
  const { sockets, url } = await serve(t);
  sockets.on("connection", (ws) => {
    ws.on("message", () => {
      ws.send("Aid");
      // No FIN follows, and pings have no answer.
      ws._socket.pause();
    });
  });
  const states = [];
  const conn = await stoa.dial(url, { default: {} }, { idleTimeout: 60, reconnect: 1 });
  await new Promise((resolve) => conn.on("state", (transition) => states.push(transition) === 2 && resolve()));
  assert.deepEqual(states.map(({ state, error }) => [state, error]), [["reconnecting", stoa.ErrIdle], ["connected", undefined]]);
  conn.close();
});

test("pings a quiet peer, and takes any byte for a sign of life", async (t) => {
  const { sockets, url } = await serve(t, undefined, { autoPong: false });
  let pings = 0;
  let pinged;
  sockets.on("connection", (ws) => {
    ws.on("message", () => {
      ws.send("Aid");
      // The begin of a long message.
      ws._socket.write(Buffer.of(0x81, 100));
    });
    ws.on("ping", () => {
      ws._socket.write("a");
      if (++pings === 4) pinged();
    });
  });
  const conn = await stoa.dial(url, { default: {} }, { idleTimeout: 900, reconnect: false });
  await new Promise((resolve) => (pinged = resolve));
  assert.equal(conn.state, "connected");
  conn.close();
});

test("the build for browsers is also CommonJS", () => {
  const { dial } = createRequire(import.meta.url)("../dist/browser/index.cjs");
  assert.equal(typeof dial, "function");
});

test("is also built as CommonJS", () => {
  const program = `const { dial, reply } = require(${JSON.stringify(fileURLToPath(new URL("../dist/cjs/index.js", import.meta.url)))});
    process.stdout.write(typeof dial + typeof reply);`;
  assert.equal(execFileSync(process.execPath, ["--eval", program], { encoding: "utf8" }), "functionfunction");
});

/** Runs Node.js and resolves to its output. */
function run(parameters) {
  return new Promise((resolve, reject) => {
    execFile(process.execPath, parameters, { encoding: "utf8" }, (error, stdout, stderr) =>
      error ? reject(new Error(stderr)) : resolve(stdout),
    );
  });
}
