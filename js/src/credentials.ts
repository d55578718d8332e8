import type { Credentials } from "./options.js";

/** What authenticate returns: a token stands for the header that carries it. */
export function credentialsOf(given?: string | Credentials | null): Credentials {
  return typeof given === "string" ? { headers: { Authorization: `Bearer ${given}` } } : (given ?? {});
}

/** The token that can be handed in over an open connection, if there is one. */
export function tokenOf(given?: string | Credentials | null): string | undefined {
  return /^Bearer (.+)/i.exec(credentialsOf(given).headers?.Authorization ?? "")?.[1];
}
