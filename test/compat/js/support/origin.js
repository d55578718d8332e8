// A web server of another origin that serves neffos.js and a page for it.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";

const bundle = fileURLToPath(
  new URL("../node_modules/neffos.js/dist/neffos.js", import.meta.url),
);

const page = `<!doctype html>
<title>Another origin</title>
<link rel="icon" href="data:,">
<script type="module">
  import * as neffos from "/neffos.js";
  window.neffos = neffos;
</script>
`;

/**
 * Serves until close is called.
 * @returns {Promise<{origin: string, close: () => Promise<void>}>}
 */
export async function startOrigin() {
  const script = await readFile(bundle);
  const files = {
    "/": { type: "text/html", content: page },
    "/neffos.js": { type: "text/javascript", content: script },
  };
  const server = createServer((request, response) => {
    const file = files[request.url];
    if (file === undefined) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, { "Content-Type": `${file.type}; charset=utf-8` }).end(file.content);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    origin: `http://127.0.0.1:${server.address().port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      }),
  };
}
