// Tests the additions of the build for Node.js over real sockets.
import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { createServer } from "node:http";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { WebSocketServer } from "ws";
import * as stoa from "../dist/esm/index.js";
import { rejection } from "./support/stoa.js";

/** Starts a server whose accept may return a status to refuse with. */
async function serve(t, accept) {
  const http = createServer();
  const sockets = new WebSocketServer({ noServer: true });
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
  assert.deepEqual([error.message, error.code], ["refused with status 403", "refused"]);

  let attempts = 0;
  const later = await serve(t, () => (++attempts < 3 ? 503 : 0));
  later.sockets.on("connection", (ws) => ws.on("message", () => ws.send("Aid")));
  const conn = await stoa.dial(later.url, { default: {} }, { reconnect: 1 });
  assert.equal(attempts, 3);
  conn.close();
});

test("the reaction to an answer comes before the next message", async (t) => {
  const { sockets, url } = await serve(t);
  sockets.on("connection", (ws) => {
    ws.on("message", (data) => {
      const [token] = String(data).split(";");
      if (token === "M") return ws.send("Aid");
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

test("uses the WebSocket of Node.js if it has one", async (t) => {
  let seen;
  const { sockets, url } = await serve(t, (request) => void (seen = request));
  sockets.on("connection", (ws) => ws.on("message", () => ws.send("Aid")));
  const program = `
    import { dial } from ${JSON.stringify(new URL("../dist/esm/index.js", import.meta.url).href)};
    if (!globalThis.WebSocket) throw new Error("no WebSocket");
    const conn = await dial(process.argv[1], { default: {} }, { headers: { "X-A": "1" } });
    process.stdout.write(conn.ID);
    conn.close();`;
  const flags = globalThis.WebSocket ? [] : ["--experimental-websocket"];
  const output = await run([...flags, "--input-type=module", "--eval", program, url]);
  assert.equal(output, "id");
  assert.equal(seen.headers["x-a"], "1");
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
