// Test runners with the environments that imitate browsers.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { peers, startPeer } from "../../compat/js/support/program.js";
import { limit, module, Project, require, tool, want } from "../support/project.js";

let peer;
let projects;
before(async () => {
  peer = await startPeer(peers.stoa);
  projects = { node: await Project.make({ ws: true }), browser: await Project.make() };
}, limit);
after(async () => {
  await projects?.node.remove();
  await projects?.browser.remove();
  await peer?.kill();
});

/** Code of a test that compares the result. */
const expectation = (result) =>
  `test("exercise", async () => expect(await ${result}).toBe(${JSON.stringify(want)}), 30_000);`;

describe("jest", () => {
  const environments = { node: "jest-environment-node", browser: "jest-environment-jsdom" };
  for (const [kind, environment] of Object.entries(environments)) {
    for (const commonJS of [true, false]) {
      it(`${environment}, ${commonJS ? "CommonJS" : "ESM"}`, limit, async () => {
        const project = projects[kind];
        const name = `${kind}.test.${commonJS ? "cjs" : "mjs"}`;
        await project.write(name, module(peer.url, expectation, { commonJS }));
        const config = {
          rootDir: project.folder,
          testEnvironment: require.resolve(environment),
          testMatch: [`**/${name}`],
          transform: {},
          moduleFileExtensions: ["js", "cjs", "mjs", "json"],
          cacheDirectory: project.path("cache"),
        };
        const parameters = ["--experimental-vm-modules", tool("jest/bin/jest.js"), "--config", JSON.stringify(config)];
        const { stderr } = await project.run(process.execPath, parameters);
        assert.match(stderr, /1 passed/);
      });
    }
  }
});

describe("vitest", () => {
  const environments = { node: "node", jsdom: "browser", "happy-dom": "browser" };
  for (const [environment, kind] of Object.entries(environments)) {
    it(environment, limit, async () => {
      const project = projects[kind];
      const name = `${environment}.spec.mjs`;
      const load = 'import { expect, test } from "vitest";\n';
      await project.write(name, load + module(peer.url, expectation));
      await project.write("vitest.config.mjs", `export default { resolve: { alias: { vitest: ${JSON.stringify(tool("vitest"))} } } };`);
      const parameters = [tool("vitest/vitest.mjs"), "run", "--environment", environment, name];
      const { stdout } = await project.run(process.execPath, parameters);
      assert.match(stdout, /1 passed/);
    });
  }
});
