import { readdirSync, readFileSync } from "node:fs";

const folder = new URL("../../../wire/testdata/golden/", import.meta.url);

function payload(item) {
  const bytes = "base64" in item ? Buffer.from(item.base64, "base64") : Buffer.from(item.data ?? "");
  const { text = "", times = 0 } = item.repeat ?? {};
  return Buffer.concat([bytes, Buffer.from(text.repeat(times))]);
}

/** The recorded conversations; see the README in their folder. */
export function load() {
  const all = [];
  for (const name of readdirSync(folder)) {
    if (!name.endsWith(".json") || name === "profile.json") continue;
    for (const conversation of JSON.parse(readFileSync(new URL(name, folder), "utf8")).conversations) {
      all.push({
        placeholders: [],
        ...conversation,
        frames: (conversation.frames ?? []).map((frame) => ({ ...frame, payload: payload(frame) })),
        clientCallbacks: conversation.clientCallbacks?.map((callback) => ({
          namespace: "",
          room: "",
          ...callback,
          body: callback.bodyBase64 ? Buffer.from(callback.bodyBase64, "base64").toString() : (callback.body ?? ""),
        })),
      });
    }
  }
  return all;
}
