import assert from "node:assert/strict";
import { test } from "node:test";
import { differences, untestable } from "./support/differences.js";
import { load } from "./support/golden.js";
import { Player } from "./support/player.js";

const conversations = load();
const replayed = conversations.filter(
  ({ id, client, connections }) =>
    !client.startsWith("scripted") && connections.some(({ method }) => method === "GET") && !(id in untestable),
);

test("the recordings are found", () => {
  assert.ok(replayed.length > 60, `${replayed.length} conversations, want more than 60`);
  const ids = new Set(conversations.map(({ id }) => id));
  for (const id of [...Object.keys(differences), ...Object.keys(untestable)]) assert.ok(ids.has(id), `${id} is no conversation`);
});

for (const conversation of replayed) {
  test(`replay ${conversation.id}`, () => new Player(conversation, differences[conversation.id]).play());
}
