// A connection to a server that a test can cut: a relay of bytes on a port of its own.
import { connect, createServer } from "node:net";

/**
 * Starts the relay.
 * @param {number} port of the server on 127.0.0.1
 * @returns {Promise<{page: string, block: () => void, cut: () => void, mend: () => void, close: () => Promise<void>}>}
 *   block stops the bytes on all connections, cut resets them, and new ones too until mend is called
 */
export async function startCable(port) {
  const sockets = new Set();
  let isCut = false;
  const server = createServer((client) => {
    if (isCut) {
      client.resetAndDestroy();
      return;
    }
    const upstream = connect(port, "127.0.0.1");
    for (const [one, other] of [[client, upstream], [upstream, client]]) {
      sockets.add(one);
      one.on("error", () => {}); // its close follows
      one.once("close", () => {
        sockets.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const reset = () => {
    for (const socket of sockets) socket.resetAndDestroy();
  };
  return {
    page: `http://127.0.0.1:${server.address().port}`,
    block: () => {
      for (const socket of sockets) socket.unpipe().pause();
    },
    cut: () => {
      isCut = true;
      reset();
    },
    mend: () => {
      isCut = false;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(resolve);
        reset();
      }),
  };
}
