import { decodeText } from "./lines.ts";
import { FormatError } from "./format.ts";

/** Windows and Python encoding names that the WHATWG's list lacks. */
const ALIASES: Record<string, string> = {
  cp932: "shift_jis",
  ms932: "shift_jis",
  cp936: "gbk",
  ms936: "gbk",
  cp949: "euc-kr",
  ms949: "euc-kr",
  cp950: "big5",
  ms950: "big5",
  "utf-8-sig": "utf-8",
  "utf8-sig": "utf-8",
};

/** The WHATWG name of an encoding in any of the spellings that producers use; undefined for an unknown encoding. */
function knownEncoding(declared: string): string | undefined {
  const alias = ALIASES[declared.toLowerCase().replaceAll("_", "-")];
  for (const label of [alias ?? declared, declared.replaceAll("_", "-"), declared.replace(/[-_]/g, "")]) {
    try {
      return new TextDecoder(label).encoding;
    } catch {
      // Try the next spelling.
    }
  }
  return undefined;
}

/** The encoding of an XML file: by its BOM, else its declaration, else UTF-8 (XML 1.0, appendix F). @throws FormatError */
function xmlEncoding(head: Uint8Array, format: string): string {
  const [a, b, c, d] = head;
  if (a === 0xef && b === 0xbb && c === 0xbf) return "utf-8";
  if (a === 0xff && b === 0xfe || a === 0x3c && b === 0 && c !== 0 && d === 0) return "utf-16le";
  if (a === 0xfe && b === 0xff || a === 0 && b === 0x3c && c === 0 && d !== 0) return "utf-16be";
  const declared = /^\s*<\?xml[^>]*\sencoding\s*=\s*["']([\w.-]+)["']/.exec(
    new TextDecoder("latin1").decode(head.slice(0, 200)),
  )?.[1];
  const name = knownEncoding(declared ?? "utf-8");
  if (name === undefined) {
    throw new FormatError(format, `its encoding ${JSON.stringify(declared)} is unknown`);
  }
  return name.startsWith("utf-16") ? "utf-8" : name;
}

/** Decodes an XML byte stream in the encoding its first bytes declare. @throws FormatError, DecodingError for invalid bytes */
export function decodeXml(input: AsyncIterable<Uint8Array>, format: string): AsyncGenerator<string> {
  return decodeText(input, { fatal: true, headBytes: 200, encodingOf: (head) => xmlEncoding(head, format) });
}
