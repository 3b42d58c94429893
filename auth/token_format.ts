import { crc32 } from "node:zlib";

const PREFIX = "chub_";
const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/** 43 digits of 62 hold 256 bits. */
const RANDOM = 43;
const CHECK = 6;
// deno-lint-ignore linear/pattern -- made of constants
const SHAPE = new RegExp(`^${PREFIX}[0-9A-Za-z]{${RANDOM + CHECK}}$`);

/** A new token: `chub_`, 256 random bits, and a checksum by which a scanner for leaks knows it from anything else. */
export function makeToken(): string {
  let random = "";
  while (random.length < RANDOM) {
    // 248 is the largest multiple of 62 in a byte: no digit is likelier than another.
    for (const byte of crypto.getRandomValues(new Uint8Array(64))) {
      if (byte < 248 && random.length < RANDOM) random += DIGITS[byte % 62];
    }
  }
  return PREFIX + random + checkOf(random);
}

/** Whether a text has the form and checksum of a token; it may be nobody's all the same. */
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
