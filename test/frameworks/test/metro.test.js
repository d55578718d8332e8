// A bundle of Metro, the bundler of React Native. It runs in Node.js, with the
// globals that React Native has.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, it } from "node:test";
import { createContext, runInContext } from "node:vm";

import { WebSocket } from "ws";

import { peers, startPeer } from "../../compat/js/support/program.js";
import { limit, module, Project, require, tool, want } from "../support/project.js";

let peer;
let project;
before(async () => {
  peer = await startPeer(peers.stoa);
  project = await Project.make();
}, limit);
after(async () => {
  await project?.remove();
  await peer?.kill();
});

/** Makes a bundle as React Native's configuration of Metro does. */
async function bundle(entry, out) {
  const metro = require("metro");
  const config = await metro.loadConfig(
    { cwd: project.folder, resetCache: true },
    {
      projectRoot: project.folder,
      watchFolders: [tool("")],
      cacheStores: [],
      maxWorkers: 1,
      reporter: { update: () => undefined },
      resolver: {
        unstable_enablePackageExports: true,
        unstable_conditionNames: ["react-native"],
        sourceExts: ["js", "mjs", "cjs", "json"],
        useWatchman: false,
        nodeModulesPaths: [tool("")],
      },
      transformer: {
        getTransformOptions: () => ({ transform: { experimentalImportSupport: true, inlineRequires: false } }),
      },
    },
  );
  await metro.runBuild(config, { entry, out, platform: "ios", dev: false, minify: false });
}

it("metro", limit, async () => {
  const entry = await project.write("index.js", module(peer.url, (result) => `globalThis.done(${result});`));
  await bundle(entry, project.path("bundle.js"));
  // The AbortSignal of React Native has no throwIfAborted.
  class AbortSignalOfReactNative extends EventTarget {
    aborted = false;
  }
  class AbortControllerOfReactNative {
    signal = new AbortSignalOfReactNative();
    abort() {
      this.signal.aborted = true;
      this.signal.dispatchEvent(new Event("abort"));
    }
  }
  const result = new Promise((resolve, reject) => {
    const context = createContext({
      WebSocket,
      AbortController: AbortControllerOfReactNative,
      TextEncoder,
      performance,
      setTimeout,
      clearTimeout,
      queueMicrotask,
      console,
      done: (promise) => promise.then(resolve, reject),
    });
    runInContext("var global = globalThis; var window = globalThis;", context);
    readFile(project.path("bundle.js"), "utf8").then((text) => runInContext(text, context)).catch(reject);
  });
  assert.equal(await result, want);
});
