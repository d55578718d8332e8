// The permission table of `stoa serve --config`: good and bad tokens, wherever a client
// can put them, and what the client's application learns.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";

import * as neffos from "neffos.js";
import WebSocket from "ws";

import { dial } from "../../../../js/dist/esm/index.js";
import { limit, startBrowser } from "../support/browser.js";
import { openClient } from "../support/client-page.js";
import { startProgram } from "../support/program.js";
import { configure, tokenOfJWKS, tokens } from "../support/tokens.js";

const bundle = fileURLToPath(
  new URL("../node_modules/neffos.js/dist/neffos.js", import.meta.url),
);

/** Tries a token with stoa-client: what the application learns. */
async function tryStoa({ module, url, options, later }) {
  const abort = new AbortController();
  const handlers = { chat: {} };
  let waits;
  const waiting = new Promise((resolve) => {
    const onState = ({ state, delay, error }) => {
      if (state !== "connecting" || delay === undefined) return;
      waits = `later, in ${delay >= later ? "at least" : "less than"} ${later} ms: ${error?.message}`;
      resolve(waits);
    };
    options = { ...options, onState, signal: abort.signal };
  });
  const dialed = module.dial(url, handlers, options).then(
    async (conn) => {
      const result = await conn.connect("chat").then(
        () => "connected",
        (error) => `accepted, ${error.code}`,
      );
      conn.close();
      return result;
    },
    (error) => waits ?? `${error.code}: ${error.message.replace("refused with status 401: ", "")}`,
  );
  const result = await Promise.race([dialed, waiting]);
  abort.abort();
  await dialed;
  return result;
}

/** The same with neffos.js, which has only an error. */
async function tryNeffos({ module, url, options }) {
  try {
    const conn = await module.dial(url, { chat: {} }, options);
    const result = await conn.connect("chat").then(
      () => "connected",
      (error) => `accepted, ${/^(\w+):/.exec(error.message ?? error)?.[1]}`,
    );
    conn.close();
    return result;
  } catch (error) {
    return String(error.message ?? error);
  }
}

/** The same with a plain WebSocket: the close code and the text before it. */
function tryPlain({ url }) {
  return new Promise((resolve) => {
    const socket = new WebSocket(url);
    let text = "";
    socket.onopen = () => socket.send("M");
    socket.onmessage = ({ data }) => {
      text = data;
      if (data.startsWith("A")) socket.send("1;chat;;_OnNamespaceConnect;0;0;");
      if (!data.startsWith("1;")) return;
      resolve(data === "1;;;;;;" ? "connected" : `accepted, ${/1;0;(\w+)/.exec(data)?.[1]}`);
      socket.close();
    };
    socket.onclose = ({ code, reason }) => resolve(`${code} ${reason}; ${text}`);
  });
}

const bearer = (token) => ({ headers: { Authorization: `Bearer ${token}` } });
const query = (token) => (token ? `?token=${token}` : "");

/** The ways of a client to send a token: the end of the URL, and the options. */
const stoaWays = {
  "the header": (token) => ["", token ? bearer(token) : {}],
  "a parameter": (token) => [query(token), {}],
};
const nodeWays = {
  ...stoaWays,
  "the cookie": (token) => ["", token ? { headers: { Cookie: `token=${token}` } } : {}],
};
const authenticating = {
  authenticate: (token) => ["", { authenticate: () => token }],
  "authenticate with a parameter": (token) => ["", { authenticate: () => ({ query: token ? { token } : {} }) }],
};

/** The outcome for each token, where word is that of a refusal with a reason. */
function expected(word, names = Object.keys(tokens)) {
  const outcome = ({ reason, forbidden }) => {
    if (reason) return word(reason);
    return forbidden ? "accepted, forbidden" : "connected";
  };
  return Object.fromEntries(names.map((name) => [name, outcome(tokens[name])]));
}

/** Runs a function for all tokens at once. */
async function forAll(attempt, names = Object.keys(tokens)) {
  const outcome = async (name) => [name, await attempt(tokens[name].token)];
  return Object.fromEntries(await Promise.all(names.map(outcome)));
}

let program, other, busy, jwks, browser, page;
const programs = [];
const configurations = [];
async function start(options) {
  const configuration = configure(options);
  configurations.push(configuration);
  const started = await startProgram({ args: configuration.args });
  programs.push(started);
  return started;
}
before(async () => {
  jwks = createServer((_, response) => response.writeHead(500).end()).listen(0, "127.0.0.1");
  await new Promise((resolve) => jwks.once("listening", resolve));
  const rate = "  address_handshakes: 0.01/s burst 1";
  program = await start();
  other = await start({ jwks: `http://127.0.0.1:${jwks.address().port}/` });
  busy = await start({ more: rate });
  browser = await startBrowser();
  page = await openPageOf(program);
}, limit);
after(async () => {
  await browser?.close();
  jwks.close();
  for (const { remove } of configurations) remove();
  for (const one of programs) assert.equal(await one.stop(), 0, one.output);
});

/** Opens a page of the program with both clients and the functions above. */
async function openPageOf({ page: origin }) {
  const opened = (await openClient(browser, origin)).page;
  await opened.evaluate(
    async ([client, functions]) => {
      const load = (code) => import(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
      window.neffos = await load(client);
      Object.assign(window, await load(functions));
    },
    [await readFile(bundle, "utf8"), `export { tryStoa, tryNeffos, tryPlain };\n${tryStoa}\n${tryNeffos}\n${tryPlain}`],
  );
  return opened;
}

/** Calls one of the functions in the page; authenticate is made there. */
function inPage(opened, attempt, client, url, options, later) {
  const { authenticate, ...rest } = options;
  return opened.evaluate(
    ([name, module, address, given, answer, milliseconds]) => {
      if (answer !== null) given.authenticate = () => answer;
      return window[name]({ module: window[module], url: address, options: given, later: milliseconds });
    },
    [attempt, client, url, rest, authenticate ? authenticate() : null, later],
  );
}

const unauthorized = (reason) => `unauthorized: ${reason}`;

describe("stoa-client in Node.js", () => {
  for (const [way, request] of Object.entries({ ...nodeWays, ...authenticating })) {
    it(`sends a token in ${way}`, limit, async () => {
      const outcomes = await forAll((token) => {
        const [end, options] = request(token);
        return tryStoa({ module: { dial }, url: program.url + end, options });
      });
      assert.deepEqual(outcomes, expected(unauthorized));
    });
  }

  it("sends a token with another WebSocket, which has no headers", limit, async () => {
    // A socket without an Origin is refused by a status, which a standard WebSocket hides.
    const outcomes = await forAll(
      (token) => {
        const options = { ...bearer(token), WebSocket };
        return tryStoa({ module: { dial }, url: program.url, options });
      },
      ["valid", "valid, RS256", "valid, without permissions"],
    );
    assert.deepEqual(outcomes, expected(unauthorized, Object.keys(outcomes)));
  });
});

describe("neffos.js in Node.js", () => {
  for (const [way, request] of Object.entries(nodeWays)) {
    it(`sends a token in ${way}`, limit, async () => {
      const outcomes = await forAll((token) => {
        const [end, options] = request(token);
        return tryNeffos({ module: neffos, url: program.url + end, options });
      });
      assert.deepEqual(outcomes, expected(() => "Unexpected server response: 401"));
    });
  }
});

describe("pages", () => {
  const clients = {
    "stoa-client": ["tryStoa", "stoa", unauthorized, { ...stoaWays, ...authenticating }],
    "neffos.js": ["tryNeffos", "neffos", (reason) => reason, stoaWays],
    "a WebSocket": [
      "tryPlain",
      "stoa",
      (reason) => `4401 ${reason}; H${reason}`,
      { "a parameter": stoaWays["a parameter"] },
    ],
  };
  for (const [client, [attempt, module, word, ways]] of Object.entries(clients)) {
    for (const [way, request] of Object.entries(ways)) {
      it(`with ${client} send a token in ${way}`, limit, async () => {
        const outcomes = await forAll((token) => {
          const [end, options] = request(token);
          return inPage(page, attempt, module, program.url + end, options);
        });
        assert.deepEqual(outcomes, expected(word));
      });
    }

    it(`with ${client} send a token in the cookie`, limit, async () => {
      // A browser keeps no cookie of 10 KB.
      const names = Object.keys(tokens).filter((name) => name !== "10 KB");
      const outcomes = {};
      for (const name of names) {
        await page.context().clearCookies();
        const cookie = { name: "token", value: tokens[name].token, url: program.page, httpOnly: true };
        await page.context().addCookies([cookie]);
        outcomes[name] = await inPage(page, attempt, module, program.url, {});
      }
      await page.context().clearCookies();
      assert.deepEqual(outcomes, expected(word, names));
    });
  }
});

// "Log in again" is the outcome above. "Come back later" must not look like it.
describe("clients that are to come back later", () => {
  const reasons = {
    "keys unavailable": { status: 503, delay: 1_000, of: () => other },
    "too many attempts to connect from this address": { status: 429, delay: 10_000, of: () => busy },
  };
  before(async () => {
    // It takes the only handshake of the address.
    const module = { dial };
    assert.match(await tryStoa({ module, url: busy.url, options: {} }), /^unauthorized/);
  });
  for (const [reason, { status, delay, of }] of Object.entries(reasons)) {
    const ask = () => `${of().url}?token=${tokenOfJWKS}`;
    it(`learn in Node.js: ${reason}`, limit, async () => {
      assert.deepEqual(
        {
          stoa: await tryStoa({ module: { dial }, url: ask(), options: {}, later: delay }),
          neffos: await tryNeffos({ module: neffos, url: ask(), options: {} }),
        },
        {
          stoa: `later, in at least ${delay} ms: refused with status ${status}: ${reason}`,
          neffos: `Unexpected server response: ${status}`,
        },
      );
    });

    it(`learn in a page: ${reason}`, limit, async () => {
      const opened = await openPageOf(of());
      const plain = await inPage(opened, "tryPlain", "stoa", ask(), {});
      assert.match(plain, new RegExp(`^1013 ${reason}; retry-after=\\d{4,}; H${reason}$`));
      assert.deepEqual(
        {
          stoa: await inPage(opened, "tryStoa", "stoa", ask(), {}, delay),
          neffos: await inPage(opened, "tryNeffos", "neffos", ask(), {}),
        },
        { stoa: `later, in at least ${delay} ms: ${reason}`, neffos: reason },
      );
      await opened.context().close();
    });
  }
});
