import type { Config } from "../config.ts";
import { HubError } from "../errors.ts";
import type { Identity } from "./roles.ts";

/** Tells who sends an `Authorization` header; null without one. @throws HubError UNAUTHORIZED where it is not good */
export type Authenticate = (header: string | null) => Promise<Identity | null>;

const ADMIN: Identity = { name: "admin", roles: ["admin"] };

/** Knows the admin token, read once. Digests are compared, so that the time taken tells nothing of the token. */
export async function createAuthenticator(config: Readonly<Config>): Promise<Authenticate> {
  const token = (await Deno.readTextFile(config.adminTokenFile).catch((error) => {
    throw new HubError(
      "SERVICE_UNAVAILABLE",
      `The admin token cannot be read from ${config.adminTokenFile} (ADMIN_TOKEN_FILE): ${error.message}`,
    );
  })).trim();
  if (token.length < 32) {
    throw new HubError(
      "SERVICE_UNAVAILABLE",
      `The admin token in ${config.adminTokenFile} is shorter than 32 characters.`,
    );
  }
  const expected = await digest(token);
  return async (header) => {
    if (header === null) return null;
    const given = /^Bearer +(\S+)$/i.exec(header)?.[1];
    if (given !== undefined && isEqual(await digest(given), expected)) return ADMIN;
    throw new HubError(
      "UNAUTHORIZED",
      "The Authorization header holds no token that is known here; send `Authorization: Bearer <token>`.",
    );
  };
}

async function digest(text: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  let difference = a.length ^ b.length;
  for (let at = 0; at < a.length; at++) difference |= a[at]! ^ (b[at] ?? 0);
  return difference === 0;
}
