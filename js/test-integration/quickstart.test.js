// Runs the quick start of docs/clients.md in an empty folder, with the package
// as npm would publish it.
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { Inbox } from "../../test/compat/js/support/client.js";
import { startProgram } from "../../test/compat/js/support/program.js";
import { closeGuests, enter } from "./support/guest.js";

const run = promisify(execFile);
const limit = { timeout: 120_000 };
const js = fileURLToPath(new URL("..", import.meta.url));
const page = new URL("../../docs/clients.md", import.meta.url);
const dialed = "ws://localhost:8080/ws";

let program;
let directory;
let example;

before(async () => {
  program = await startProgram();
  directory = await mkdtemp(join(tmpdir(), "stoa-client-"));
  // The build exists already; packing ws from node_modules avoids a download.
  const pack = (folder) =>
    run("npm", ["pack", "--silent", "--ignore-scripts", "--pack-destination", directory], { cwd: folder });
  const packed = [await pack(js), await pack(join(js, "node_modules", "ws"))];
  await run("npm", ["init", "-y"], { cwd: directory });
  const files = packed.map(({ stdout }) => `./${stdout.trim()}`);
  await run("npm", ["install", "--offline", "--no-audit", "--no-fund", ...files], { cwd: directory });
}, limit);
after(async () => {
  example?.kill("SIGKILL");
  await rm(directory, { recursive: true, force: true });
  await program.kill();
});
afterEach(closeGuests);

/** Writes an example of the page into the folder, with the test's node. */
async function writeExample(name, file, more = "") {
  const text = await readFile(page, "utf8");
  const [, code] = new RegExp(`<!-- example: ${name} -->\\n\`\`\`\\w+\\n(.*?)\`\`\``, "s").exec(text) ?? [];
  assert.ok(code?.includes(dialed), `the page has an example ${name} that dials ${dialed}`);
  await writeFile(join(directory, file), code.replace(dialed, program.url) + more);
}

it("the first example exchanges messages, also after a restart of the node", limit, async () => {
  await writeExample("stoa-client", "hello.mjs");
  const ada = await enter(program.url, "ada", ["lobby"]);
  const printed = new Inbox("the output of the example");
  example = spawn(process.execPath, ["hello.mjs"], { cwd: directory, stdio: ["ignore", "pipe", "pipe"] });
  for (const stream of [example.stdout, example.stderr]) {
    stream.setEncoding("utf8").on("data", (text) => {
      for (const line of text.trim().split("\n")) printed.add(line);
    });
  }
  const prints = (line, nth = 1) =>
    printed.until((lines) => lines.filter((one) => one === line).length >= nth, line);

  assert.equal((await ada.messages.event("chat")).body, "Hello from JavaScript");
  ada.ns.room("lobby").emit("chat", "Hello back");
  await prints("lobby: Hello back");

  const { port } = program;
  await program.kill();
  await prints("now reconnecting");
  program = await startProgram({ port });
  await prints("now connected");
  await ada.state("connected", 2);
  ada.ns.room("lobby").emit("chat", "still there?");
  await prints("lobby: still there?");
});

it("the example with a map of events compiles, and checks names and bodies", limit, async () => {
  const check = () =>
    run(
      process.execPath,
      [
        join(js, "node_modules", "typescript", "bin", "tsc"),
        ..."--noEmit --strict --target es2022 --module nodenext --lib es2022,dom typed.mts".split(" "),
      ],
      { cwd: directory },
    );
  await writeExample("typed", "typed.mts");
  await check();
  for (const wrong of ['namespace.emit("moved", { x: 1, y: 2 });', 'namespace.emit("move", { x: "1" });']) {
    await writeExample("typed", "typed.mts", wrong);
    await assert.rejects(check(), ({ stdout }) => /TS\d+/.test(stdout), wrong);
  }
});

it("the example with a token runs", limit, async () => {
  await writeExample("authenticate", "token.mjs", "\nconsole.log(conn.state);\nconn.close();\n");
  const { stdout } = await run(process.execPath, ["token.mjs"], { cwd: directory });
  assert.equal(stdout, "connected\n");
});

it("CommonJS programs can require the package", limit, async () => {
  const code = `const { dial } = require("stoa-client");
dial(${JSON.stringify(program.url)}, { default: {} }).then((conn) => {
  console.log(conn.state);
  conn.close();
});`;
  const { stdout } = await run(process.execPath, ["--eval", code], { cwd: directory });
  assert.equal(stdout, "connected\n");
});
