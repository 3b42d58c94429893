import { crc32 } from "node:zlib";

const PREFIX = "chub_";
const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/** 43 base-62 digits contain 256 bits. */
const RANDOM = 43;
const CHECK = 6;
// deno-lint-ignore linear/pattern -- made of constants
const SHAPE = new RegExp(`^${PREFIX}[0-9A-Za-z]{${RANDOM + CHECK}}$`);

/** Creates a token: `chub_`, 256 random bits, and a checksum by which secret scanners can recognize it. */
export function makeToken(): string {
  let random = "";
  while (random.length < RANDOM) {
    // 248 is the largest multiple of 62 in a byte, so all digits are equally likely.
    for (const byte of crypto.getRandomValues(new Uint8Array(64))) {
      if (byte < 248 && random.length < RANDOM) random += DIGITS[byte % 62];
    }
  }
  return PREFIX + random + checkOf(random);
}

/** Whether a text has the form and checksum of a token, which does not mean that the token exists. */
export function isToken(text: string): boolean {
  if (!SHAPE.test(text)) return false;
  const random = text.slice(PREFIX.length, -CHECK);
  return text.slice(-CHECK) === checkOf(random);
}

function checkOf(random: string): string {
  let rest = crc32(random);
  let check = "";
  while (check.length < CHECK) {
    check = DIGITS[rest % 62] + check;
    rest = Math.floor(rest / 62);
  }
  return check;
}
