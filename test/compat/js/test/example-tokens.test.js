// examples/tokens with neffos.js: tokens where Node.js sends them, and where
// browsers send them.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, it } from "node:test";

import * as neffos from "neffos.js";
import WebSocket from "ws";

import { limit, startExample } from "../support/program.js";

const secret = "a secret of 64 bytes, which is long enough for every HMAC: HS512";

let program, inBrowser;
const folder = mkdtempSync(join(tmpdir(), "tokens-"));
before(async () => {
  writeFileSync(join(folder, "secret"), secret);
  program = await startExample("tokens", ["-secret-file", join(folder, "secret")]);
  // neffos.js looks for a window when it is loaded. A browser sends the origin
  // of the page.
  globalThis.window = globalThis;
  globalThis.WebSocket = class extends WebSocket {
    constructor(url, protocols) {
      super(url, protocols, { origin: program.page });
    }
  };
  inBrowser = await import(`${import.meta.resolve("neffos.js")}?browser`);
});
after(async () => {
  rmSync(folder, { recursive: true });
  assert.equal(await program.stop(), 0, program.output);
});

function sign(claims, { alg = "HS256", key = secret } = {}) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const signed = `${part({ alg, typ: "JWT" })}.${part(claims)}`;
  const signature = alg === "none" ? "" : createHmac("sha256", key).update(signed).digest("base64url");
  return `${signed}.${signature}`;
}

const now = Math.floor(Date.now() / 1000);
const rows = [
  { name: "valid", token: sign({ sub: "ann", exp: now + 3600 }) },
  { name: "expired", token: sign({ sub: "ann", exp: now - 3600 }), reason: "token expired" },
  { name: "not yet valid", token: sign({ sub: "ann", exp: now + 3600, nbf: now + 1800 }), reason: "token not valid yet" },
  { name: "of another key", token: sign({ sub: "ann", exp: now + 3600 }, { key: `${secret}!` }), reason: "bad signature" },
  { name: "without a signature", token: sign({ sub: "ann", exp: now + 3600 }, { alg: "none" }), reason: "algorithm not allowed" },
  { name: "none", token: "", reason: "token required" },
];

/** How a client sends a token: the ways that neffos.js has. */
const ways = {
  "a header": (token) => [neffos, "", { headers: { Authorization: `Bearer ${token}` } }],
  "a cookie": (token) => [neffos, "", { headers: { Cookie: `token=${token}` } }],
  "the URL": (token) => [neffos, `?token=${token}`, {}],
  "the parameter of browsers": (token) => [inBrowser, "", { headers: { authorization: `Bearer ${token}` } }],
  "the URL of a browser": (token) => [inBrowser, `?token=${token}`, {}],
};

for (const [way, request] of Object.entries(ways)) {
  for (const { name, token, reason } of rows) {
    it(`${name}, in ${way}`, limit, async () => {
      const [client, query, options] = request(token);
      const dialed = client.dial(`${program.url}${query}`, { default: {} }, options);
      if (reason) {
        // A page learns the reason; Node.js the status.
        const want = client === inBrowser ? reason : "401";
        await assert.rejects(dialed, (error) => String(error.message ?? error).includes(want));
        return;
      }
      const conn = await dialed;
      const ns = await conn.connect("default");
      assert.equal((await ns.ask("whoami", "")).Body, "ann");
      conn.close();
    });
  }
}
