// Bundles for browsers and for Node.js.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";

import { openPage, startBrowser } from "../../compat/js/support/browser.js";
import { peers, startPeer } from "../../compat/js/support/program.js";
import { limit, module, print, Project, require, show, want } from "../support/project.js";

let peer;
let project;
let browser;
before(async () => {
  peer = await startPeer(peers.stoa);
  project = await Project.make({ ws: true });
  browser = await startBrowser();
}, limit);
after(async () => {
  await browser?.close();
  await project?.remove();
  await peer?.kill();
});

/** Each bundler makes a bundle of an entry for a platform. */
const bundlers = {
  async webpack(entry, folder, platform) {
    const { webpack } = require("webpack");
    const stats = await promisify(webpack)({
      mode: "production",
      context: project.folder,
      entry,
      target: platform === "browser" ? "web" : "node",
      output: { path: folder, filename: "bundle.js" },
    });
    assert.ok(!stats.hasErrors() && !stats.hasWarnings(), stats.toString());
  },
  async esbuild(entry, folder, platform) {
    const { build } = require("esbuild");
    const options = { entryPoints: [entry], bundle: true, minify: true, format: platform === "browser" ? "iife" : "cjs" };
    const { warnings } = await build({ ...options, platform, outfile: `${folder}/bundle.js`, absWorkingDir: project.folder, logLevel: "silent" });
    assert.deepEqual(warnings, []);
  },
  async rollup(entry, folder, platform) {
    const { rollup } = require("rollup");
    const { nodeResolve } = require("@rollup/plugin-node-resolve");
    const warnings = [];
    const bundle = await rollup({
      input: entry,
      plugins: [nodeResolve({ browser: platform === "browser", exportConditions: platform === "node" ? ["node"] : [] })],
      onwarn: (warning) => warnings.push(warning.message),
    });
    await bundle.write({ file: `${folder}/bundle.js`, format: platform === "browser" ? "iife" : "cjs" });
    await bundle.close();
    assert.deepEqual(warnings, []);
  },
  async vite(entry, folder, platform) {
    const { build } = await import("vite");
    const isServer = platform === "node";
    await build({
      root: project.folder,
      configFile: false,
      logLevel: "error",
      // Without noExternal the bundle for a server would only import the package.
      ssr: { noExternal: true },
      build: {
        outDir: folder,
        ssr: isServer && entry,
        rollupOptions: { input: entry, output: { entryFileNames: "bundle.js", format: isServer ? "cjs" : "es" } },
      },
    });
  },
};

/** Opens a page with a script and returns the title that the script sets. */
async function titleOf(script) {
  const page = '<!doctype html><link rel="icon" href="data:,"><script type="module" src="bundle.js"></script>';
  const server = createServer((request, response) => {
    const isScript = request.url === "/bundle.js";
    response.setHeader("Content-Type", isScript ? "text/javascript" : "text/html");
    response.end(isScript ? script : page);
  });
  await promisify(server.listen.bind(server))(0, "127.0.0.1");
  try {
    const opened = await openPage(browser, `http://127.0.0.1:${server.address().port}/`);
    await opened.page.waitForFunction(() => document.title !== "");
    return await opened.page.title();
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

for (const [name, bundle] of Object.entries(bundlers)) {
  describe(name, () => {
    it("for a browser", limit, async () => {
      const entry = await project.write(`${name}-page.mjs`, module(peer.url, show));
      await bundle(entry, project.path(`${name}-page`), "browser");
      assert.equal(await titleOf(await readFile(project.path(`${name}-page/bundle.js`))), want);
    });
    it("for Node.js", limit, async () => {
      const entry = await project.write(`${name}-node.mjs`, module(peer.url, print));
      await bundle(entry, project.path(`${name}-node`), "node");
      assert.equal(await project.node(project.path(`${name}-node/bundle.js`)), want);
    });
  });
}
