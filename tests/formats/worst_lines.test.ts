import { expect, test } from "vitest";
import { rolesOf } from "../../auth/roles.ts";
import { HubError } from "../../errors.ts";
import { parseSerials } from "../../run/vrlsubmit.ts";
import { parseIndex } from "../../scrapers/binarydrop/autoindex.ts";
import { parseBucketPage } from "../../scrapers/binarydrop/bucket.ts";
import { parseLenientJson } from "../../formats/lenient_json.ts";
import { formats } from "../../formats/mod.ts";
import { nextLink } from "../../scrapers/http/next_link.ts";
import { readLabelList } from "../../scrapers/http/label_list.ts";
import { cpuMs } from "../helpers/cpu.ts";
import { bytesOf, chunksOf } from "../helpers/formats.ts";
import { DOCUMENTS } from "../helpers/worst_documents.ts";
import { HEADS, LINES } from "../helpers/worst_lines.ts";
import { endless, parseAll, type Text, wide } from "../helpers/worst_texts.ts";

const SHORT = 1 << 16;
const LONG = 1 << 22;
/**
 * Most times the time of a plain text that a worst-case text of the same length may take. Texts with a line per character take 10
 * times; quadratic patterns take 80 times (on lines cut to 2,000 characters) to many thousands.
 */
const DEARER = 30;
/** Most times the time of the short text for a text 64 times as long. */
const LONGER = 64 * 5;

const READERS = [...LINES, ...DOCUMENTS];

type Read = (text: string) => unknown;

/** CPU time of a parse that may be refused. */
function costOf(read: Read, text: string): Promise<number> {
  return cpuMs(async () => {
    try {
      await read(text);
    } catch (error) {
      if (!(error instanceof HubError)) throw error;
    }
  });
}

/** The least of a few measurements; stops early once a limit is met. */
async function leastCost(read: Read, text: string, limit = 0): Promise<number> {
  let least = Infinity;
  for (let tries = 0; tries < 3 && least > limit; tries++) {
    least = Math.min(least, await costOf(read, text));
    // A busy machine may double a time.
    if (limit > 0 && least > 5 * limit) break;
  }
  return least;
}

/** Cost of 64 KB of a plain text, measured once per text, and at least the smallest measurable time. */
const known = new Map<Text, Promise<number>>();

function usualCost(read: Read, plain: Text): Promise<number> {
  const measured = known.get(plain) ??
    leastCost(read, plain(LONG)).then((ms) => Math.max(1, ms / 64));
  known.set(plain, measured);
  return measured;
}

/** Checks that a text takes no more time per character than a plain text, whatever its length. */
async function expectLinear(read: Read, worst: Text, plain: Text): Promise<void> {
  const usual = await usualCost(read, plain);
  // Checked before longer texts, which would take hours.
  expect(await leastCost(read, worst(SHORT / 16), usual * DEARER), "4 KB").toBeLessThan(usual * DEARER);
  expect(await leastCost(read, worst(SHORT), usual * DEARER), "64 KB").toBeLessThan(usual * DEARER);
  const short = Math.max(usual, await leastCost(read, worst(SHORT)));
  const limit = Math.min(short * LONGER, usual * 64 * DEARER);
  expect(await leastCost(read, worst(LONG), limit), "4 MB").toBeLessThan(limit);
}

test("every format has worst-case lines", () => {
  expect(READERS.map(({ format }) => format.name).sort()).toEqual(formats.map(({ name }) => name).sort());
});

for (const { format, plain, worst } of READERS) {
  test.each(Object.entries(worst))(
    `${format.name} takes time in a file's length only: %s`,
    async (_what, text) => {
      await expectLinear((whole) => parseAll(format, whole, SHORT), text, plain);
    },
  );

  test(`${format.name} takes no more time where a file comes in small pieces`, async () => {
    const read: Read = (whole) => parseAll(format, whole, 1000);
    const limit = 4 * DEARER * await usualCost((whole) => parseAll(format, whole, SHORT), plain);
    for (const [what, text] of Object.entries(worst)) {
      expect(await leastCost(read, text(LONG / 16), limit), what).toBeLessThan(limit);
    }
  });
}

/** Format detection with heads of 4 KB and, to test only the patterns, of 256 KB. */
const asHead = (text: Text): Text => (length) => text(length / 16);
const PLAIN_LOG = asHead(endless("a line of a log that is none of these\n"));
const recognise: Read = (text) => {
  const head = bytesOf(text);
  for (const name of ["", "a.tap", "a.sum", "a.ndjson", "subtests.txt"]) {
    for (const format of formats) format.recognises(name, head);
  }
};
test.each(Object.entries(HEADS))(
  "the format is found in time linear in the head: %s",
  async (_what, text) => {
    await expectLinear(recognise, asHead(text), PLAIN_LOG);
  },
);

const LINK = '<a href="SW_1_p.tgz">SW_1_p.tgz</a>   24-Nov-2026 01:53   100\n';
const PLAIN_INDEX = endless(LINK, { head: "<html><pre>", tail: "</pre></html>" });
const index: Read = (text) => parseIndex(text, "http://drop.example/x/");
test.each<[string, Text]>([
  ["tags that never end", endless("<a href=x ")],
  ["beginnings of tags", endless("<a ")],
  ["attributes", endless("a ", { head: "<a " })],
  ["names of attributes", endless("href", { head: "<a " })],
  ["equals signs", endless("= ", { head: "<a " })],
  ["quotes that never end", endless("<a href=\"'>")],
  ["quotes", endless('<a x="', { tail: "'>" })],
  ["blanks", endless(" ", { head: "<a href=", tail: "x" })],
  ["blanks after a link", endless(" ", { head: "<a href=x></a>", tail: "x" })],
  ["a long name", endless("a", { head: '<a href="', tail: '">' })],
  ["a name of slashes", endless("/", { head: '<a href="', tail: '">' })],
  ["a name of dots", endless("../", { head: '<a href="', tail: '">' })],
  ["a name of entities", endless("&amp;", { head: '<a href="', tail: '">' })],
  ["beginnings of entities", endless("&a", { head: '<a href="', tail: '">' })],
  ["entities' digits", endless("1", { head: '<a href="&#', tail: '">' })],
  ["short links", endless("<a href=x>")],
  ["ends of pages", endless("</html> ", { tail: "x" })],
  ["times", endless("<a href=x></a> 24-Nov-2026 01:53 1")],
])("an HTML index is read in time linear in its length: %s", async (_what, text) => {
  await expectLinear(index, text, PLAIN_INDEX);
});

const [BEGIN, END] = ["<ListBucketResult>", "</ListBucketResult>"];
const PLAIN_BUCKET = endless("<Contents><Key>p/SW_1_p.tgz</Key><Size>1</Size></Contents>", {
  head: BEGIN,
  tail: END,
});
test.each<[string, Text]>([
  ["elements in elements", (length) => BEGIN + "<a>".repeat(length / 7) + "</a>".repeat(length / 7) + END],
  ["a long key", endless("a", { head: `${BEGIN}<Contents><Key>`, tail: `</Key></Contents>${END}` })],
  [
    "a key in pieces",
    endless("a<!---->", { head: `${BEGIN}<Contents><Key>`, tail: `</Key></Contents>${END}` }),
  ],
  ["a size", endless("1", { head: `${BEGIN}<Contents><Size>`, tail: `x</Size></Contents>${END}` })],
  ["blanks", endless(" ", { head: BEGIN, tail: "x" })],
  ["prefixes of names", endless("a:", { head: `${BEGIN}<`, tail: `/>${END}` })],
  ["entities", endless("&amp;", { head: `${BEGIN}<Contents><Key>`, tail: `</Key></Contents>${END}` })],
])("a bucket's listing is read in time linear in its length: %s", async (_what, text) => {
  await expectLinear(parseBucketPage, text, PLAIN_BUCKET);
});

const PLAIN_LINKS = endless('<https://a.example/?page=2>; rel="prev", ');
test.each<[string, Text]>([
  ["parameters", endless("; ", { head: "<a>", tail: '"' })],
  ["quotes", endless('"', { head: "<a>; rel=", tail: "x" })],
  ["names", endless("next ", { head: '<a>; rel="', tail: "x" })],
  ["blanks", endless(" ", { head: "<a>; rel", tail: "x" })],
  ["beginnings", endless("<")],
  ["ends", endless("<>,")],
])("a Link header is read in time linear in its length: %s", async (_what, text) => {
  await expectLinear(nextLink, text, PLAIN_LINKS);
});

const PLAIN_JSON = endless('{"name":"a","value":NaN},', { head: "[", tail: "1]" });
test.each<[string, Text]>([
  ["no numbers", endless("NaN,", { head: "[", tail: "1]" })],
  ["beginnings of no number", endless(":", { head: '["', tail: '",NaN]' })],
  ["blanks", endless(" ", { head: "[NaN,", tail: "1]" })],
  ["half of one", endless("[", { tail: "NaN" })],
])("a server's JSON is read in time linear in its length: %s", async (_what, text) => {
  const read = (whole: string) => {
    try {
      parseLenientJson(whole);
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
    }
  };
  await expectLinear(read, text, PLAIN_JSON);
});

const PLAIN_LABELS = endless("0123456789abcdef0123456789abcdef01234567\n");
test.each<[string, Text]>([
  ["blanks", wide("1", " ", "a")],
  ["words", wide("", "a ", "")],
  ["digits", wide("", "1", " a")],
  ["blank lines", endless("\n")],
])("a list of labels is read in time linear in its length: %s", async (_what, text) => {
  const read = async (whole: string) => {
    for await (const _batch of readLabelList(chunksOf(whole)));
  };
  await expectLinear(read, text, PLAIN_LABELS);
});

const PLAIN_SUBMIT = endless("a line of its log\n");
test.each<[string, Text]>([
  ["blanks", endless(" ", { head: "Submission accepted as job(s) 1", tail: "x" })],
  ["carriage returns", endless("\r", { head: "Submission accepted as job(s) 1 " })],
  ["digits", endless("1", { head: "Submission accepted as job(s) " })],
  ["lines that nearly are it", endless("Submission accepted as job(s)\n")],
])("vrlsubmit's output is read in time linear in its length: %s", async (_what, text) => {
  await expectLinear(parseSerials, text, PLAIN_SUBMIT);
});

const PLAIN_GROUP = endless("ou=a,", { tail: "dc=b" });
test.each<[string, Text]>([
  ["blanks", endless(" ", { head: "cn=a", tail: "x" })],
  ["commas", endless(" , ", { head: "cn=a", tail: "x" })],
])("a directory's groups are compared in time linear in their length: %s", async (_what, text) => {
  const read = (group: string) => rolesOf([group], [{ role: "admin", group: "cn=a" }]);
  await expectLinear(read, text, PLAIN_GROUP);
});
