import { HubError } from "../errors.ts";
import { digestOf, isSameDigest } from "./digest.ts";

/** Tells whether a text is the admin token. Digests are compared, so that the time taken tells nothing of it. */
export type IsAdminToken = (text: string) => boolean;

const SHORTEST = 32;

/** Reads the admin token, once. @throws HubError SERVICE_UNAVAILABLE */
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
      `The admin token in ${path} is shorter than ${SHORTEST} characters (now: ${token.length}).`,
    );
  }
  const expected = digestOf(token);
  return (text) => isSameDigest(digestOf(text), expected);
}
