// Runs the JavaScript example of the README with another port.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { after, before, it } from "node:test";

import { enter } from "../support/client.js";
import { limit, startProgram } from "../support/program.js";

const readme = new URL("../../../../README.md", import.meta.url);
// Next to the tests, where the example finds the neffos.js that it imports.
const folder = new URL("../example-", import.meta.url);

let program;
let directory;
let example;

before(async () => {
  program = await startProgram();
  directory = await mkdtemp(folder.pathname);
});
after(async () => {
  example?.kill("SIGKILL");
  await rm(directory, { recursive: true, force: true });
  await program.kill();
});

it("the README's example in JavaScript exchanges messages in its room", limit, async () => {
  const text = await readFile(readme, "utf8");
  const [, code] = /<!-- example: javascript -->\n```js\n(.*?)```/s.exec(text) ?? [];
  assert.ok(code, "the README has no example in JavaScript");
  assert.ok(code.includes("ws://localhost:8080/ws"), "the example dials the program's default");
  const file = `${directory}/example.mjs`;
  await writeFile(file, code.replace("ws://localhost:8080/ws", program.url));

  const person = await enter(program.url, "ada", ["lobby"]);
  example = spawn(process.execPath, [file], { stdio: ["ignore", "pipe", "inherit"] });
  const printed = new Promise((resolve) => {
    example.stdout.setEncoding("utf8").once("data", resolve);
  });
  const hello = await person.messages.event("chat");
  assert.equal(hello.body, "Hello from JavaScript");

  person.ns.room("lobby").emit("chat", "Hello back");
  assert.equal(await printed, "lobby: Hello back\n");
  person.close();
});
