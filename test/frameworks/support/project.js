// Makes projects of an application, with the package as npm would publish it.
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const execute = promisify(execFile);
const here = fileURLToPath(new URL("..", import.meta.url));
const js = join(here, "../../js");

/** The limit for one test. A tool starts slowly on a busy machine. */
export const limit = { timeout: 120_000 };

/** The path of a file of an installed tool. */
export const tool = (path) => join(here, "node_modules", path);

/** Imports an installed tool. */
export const require = createRequire(import.meta.url);

// Dials, connects, joins, emits and asks. The test peer answers
// (test/peer/doc.go).
const exercise = `
async function exercise({ dial }, url) {
  let arrived;
  const pushed = new Promise((resolve) => (arrived = resolve));
  const handlers = { default: { pushed: (nsConn, message) => arrived(message.Body) } };
  const conn = await dial(url, handlers, { reconnect: { attempts: 3 } });
  const ns = await conn.connect("default");
  const room = await ns.joinRoom("lobby");
  room.emit("chat", "hello");
  ns.emit("push", "an emit");
  const answer = await ns.ask("echo", "an ask");
  const result = [room.name, await pushed, answer.Body].join(", ");
  conn.close();
  return result;
}
`;

/** The result of the exercise. */
export const want = "lobby, an emit, an ask";

/** Returns a module that runs the exercise and then the code for its result. */
export function module(url, report, { commonJS = false } = {}) {
  const load = commonJS ? 'const stoa = require("stoa-client");' : 'import * as stoa from "stoa-client";';
  return `${load}\n${exercise}\n${report(`exercise(stoa, ${JSON.stringify(url)})`)}\n`;
}

/** Code that prints the result, or the error. */
export const print = (result) =>
  `${result}.then((text) => console.info(text), (error) => console.info(String(error.message)));`;

/** Code that shows the result as the title of the page. */
export const show = (result) =>
  `${result}.then((text) => (document.title = text), (error) => (document.title = "error: " + error.message));`;

/** A project of an application in a temporary folder. */
export class Project {
  /** Installs the package and, if the options say so, ws. */
  static async make({ ws = false } = {}) {
    const project = new Project();
    project.folder = await mkdtemp(join(tmpdir(), "stoa-framework-"));
    // The build exists already. Packed from node_modules, ws needs no download.
    const pack = async (folder) => {
      const { stdout } = await project.run("npm", ["pack", "--silent", "--ignore-scripts", "--pack-destination", project.folder, folder]);
      return `./${stdout.trim()}`;
    };
    const packed = [await pack(js)];
    if (ws) packed.push(await pack(tool("ws")));
    await project.write("package.json", '{ "name": "application", "private": true }');
    await project.run("npm", ["install", "--offline", "--no-audit", "--no-fund", ...packed]);
    return project;
  }

  path(...parts) {
    return join(this.folder, ...parts);
  }

  async write(name, text) {
    await mkdir(dirname(this.path(name)), { recursive: true });
    await writeFile(this.path(name), text);
    return this.path(name);
  }

  /** Runs a program in the folder, for less than the limit of a test. */
  run(program, parameters, env = {}) {
    const options = { cwd: this.folder, timeout: 90_000, env: { ...process.env, ...env } };
    return execute(program, parameters, options).catch((error) => {
      throw new Error(`${error.message}\n${error.stdout}\n${error.stderr}`);
    });
  }

  /** Runs a module and returns its output. */
  async node(file, binary = process.execPath) {
    const { stdout } = await this.run(binary, [file]);
    return stdout.trim();
  }

  remove() {
    return rm(this.folder, { recursive: true, force: true });
  }
}
