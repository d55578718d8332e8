// Builds the package as docs/clients.md says, in a fresh clone of the repository
// and without anything that npm has downloaded before.
import assert from "node:assert/strict";
import { exec, execFile } from "node:child_process";
import { access, mkdtemp, readFile, rm } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const top = fileURLToPath(new URL("../..", import.meta.url));
const limit = { timeout: 300_000 };

it("the package is built in a fresh clone", limit, async (t) => {
  const page = await readFile(join(top, "docs/clients.md"), "utf8");
  const [, commands, archive] = /Build the package with `([^`]+)` in js\/, and move the archive `([^`]+)`/.exec(page) ?? [];
  assert.ok(commands, "docs/clients.md says how to build the package");
  const directory = await mkdtemp(join(tmpdir(), "stoa-clone-"));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const clone = join(directory, "stoa");
  await promisify(execFile)("git", ["clone", "--quiet", "--depth", "1", `file://${top}`, clone]);
  const env = {
    ...process.env,
    HOME: directory,
    npm_config_cache: join(directory, "cache"),
    // It may name a registry.
    npm_config_userconfig: process.env.npm_config_userconfig ?? join(homedir(), ".npmrc"),
  };
  await promisify(exec)(commands, { cwd: join(clone, "js"), env });
  await access(join(clone, "js", archive));
});
