import { HubError } from "../errors.ts";
import { digestOf, isSameDigest } from "./digest.ts";

/** Returns whether a text is the admin token. Compares digests, so that timing reveals nothing about the token. */
export type IsAdminToken = (text: string) => boolean;

const SHORTEST = 32;

/** Reads the admin token. @throws HubError SERVICE_UNAVAILABLE if the file is unreadable or the token too short */
export async function readAdminToken(path: string): Promise<IsAdminToken> {
  const token = (await Deno.readTextFile(path).catch((error) => {
    throw new HubError(
      "SERVICE_UNAVAILABLE",
      `The admin token cannot be read from ${path} (ADMIN_TOKEN_FILE): ${error.message}`,
    );
  })).trim();
  if (token.length < SHORTEST) {
    throw new HubError(
      "SERVICE_UNAVAILABLE",
      `The admin token in ${path} (ADMIN_TOKEN_FILE) must have at least ${SHORTEST} characters, got ${token.length}.`,
    );
  }
  const expected = digestOf(token);
  return (text) => isSameDigest(digestOf(text), expected);
}
