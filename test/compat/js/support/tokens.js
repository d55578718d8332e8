// Tokens for a program with keys, and clients that present them.
import { createHmac, createSign, generateKeyPairSync, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const issuer = "https://login.example.com/";
const secret = randomBytes(64).toString("hex");
const { publicKey, privateKey } = generateKeyPairSync("rsa", {
  modulusLength: 2048,
  publicKeyEncoding: { type: "spki", format: "pem" },
  privateKeyEncoding: { type: "pkcs8", format: "pem" },
});

const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

/** Signs claims. A key that is a text makes an HMAC. */
function sign(claims, { alg = "HS256", kid = "shared", key = secret } = {}) {
  const now = Math.floor(Date.now() / 1000);
  const all = { iss: issuer, aud: "chat", sub: "ann", exp: now + 3600, ...claims };
  const signed = `${part({ alg, kid, typ: "JWT" })}.${part(all)}`;
  if (alg === "none") return `${signed}.`;
  const signature =
    alg === "RS256"
      ? createSign("sha256").update(signed).sign(privateKey, "base64url")
      : createHmac("sha256", key).update(signed).digest("base64url");
  return `${signed}.${signature}`;
}

const hour = (count) => Math.floor(Date.now() / 1000) + count * 3600;
const permissions = [{ namespace: "chat", allow: ["connect"] }];

/** The rows of the permission table: tokens, and why a node refuses them. */
export const tokens = {
  valid: { token: sign({ stoa: { permissions } }) },
  "valid, RS256": { token: sign({ stoa: { permissions } }, { alg: "RS256", kid: "public" }) },
  "valid, without permissions": { token: sign({}), forbidden: true },
  none: { token: "", reason: "token required" },
  expired: { token: sign({ exp: hour(-1) }), reason: "token expired" },
  "not yet valid": { token: sign({ nbf: hour(1) }), reason: "token not valid yet" },
  "wrong audience": { token: sign({ aud: "mail" }), reason: "wrong audience" },
  "wrong issuer": { token: sign({ iss: "https://evil.example/" }), reason: "wrong issuer" },
  "unknown key": { token: sign({}, { kid: "other" }), reason: "unknown key" },
  "other secret": { token: sign({}, { key: `${secret}!` }), reason: "bad signature" },
  "alg none": { token: sign({}, { alg: "none" }), reason: "algorithm not allowed" },
  "HS256 with the public key": {
    token: sign({}, { kid: "public", key: publicKey }),
    reason: "algorithm not allowed",
  },
  // By whole bytes: base64url with bits to spare would be malformed.
  truncated: { token: sign({}).slice(0, -3), reason: "bad signature" },
  "10 KB": { token: sign({ info: "x".repeat(7_300) }), reason: "token too long" },
};

/** A token whose key only the JWKS may have. */
export const tokenOfJWKS = sign({}, { alg: "RS256", kid: "published" });

/**
 * Writes the configuration of a program that verifies the tokens.
 * @param {{jwks?: string, more?: string}} options
 */
export function configure({ jwks, more = "" } = {}) {
  const folder = mkdtempSync(join(tmpdir(), "tokens-"));
  writeFileSync(join(folder, "secret"), secret);
  writeFileSync(join(folder, "public.pem"), publicKey);
  const path = join(folder, "stoa.yaml");
  writeFileSync(
    path,
    `namespaces: {chat: {relay: [rooms]}}
limits:
  header: 32KiB
${more}
auth:
  jwt:
    keys:
      shared: {secret_file: ${folder}/secret}
      public: {file: ${folder}/public.pem}
    issuers: ["${issuer}"]
    audiences: [chat]
    sources: [header, neffos, "cookie:token", "query:token"]
${jwks ? `    jwks: {url: "${jwks}", cooldown: 50ms}` : ""}
`,
  );
  return { args: ["--config", path], remove: () => rmSync(folder, { recursive: true }) };
}
