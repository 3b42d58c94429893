import fc from "fast-check";
import { expect, test } from "vitest";
import { HubError } from "../../errors.ts";
import { resultRecord } from "../../schemas/record.ts";
import { detectFormat, FormatError, type FormatItem, formats, splitHead } from "../../formats/mod.ts";
import { junit } from "../../formats/junit.ts";
import { subtests } from "../../formats/subtests.ts";

async function* chunks(bytes: Uint8Array, size = 65_536): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}
function bytesOf(input: string | Uint8Array): Uint8Array {
  return typeof input === "string" ? new TextEncoder().encode(input) : input;
}
async function read(format: typeof junit, input: string | Uint8Array, size?: number): Promise<FormatItem[]> {
  return (await Array.fromAsync(format.parse(chunks(bytesOf(input), size)))).flat();
}
async function records(input: string | Uint8Array, format = junit, size?: number) {
  const items = await read(format, input, size);
  return items.flatMap((item) => item.kind === "result" ? [item.record] : []);
}

test("the words of the dialects", async () => {
  const found = await records(`<?xml version="1.0"?><testsuites><testsuite name="s"><testsuite name="">
    <testcase classname="c" name="worst"><skipped/><failure message="f"/><error type="E" message="m">at</error></testcase>
    <testcase name="of the suite" time="1,234.5"/>
    <testcase classname="" name="decimal" time="0,125"/>
    <testcase name="odd" classname="c" time="about 3 s"/>
    <testcase name="g" classname="c" status="run" result="suppressed"/>
    <testcase name="flaky" classname="c"><flakyFailure message="x"/><rerunFailure/></testcase>
    <testcase name="log" classname="c"><failure/><system-out>out &lt;1&gt;</system-out></testcase>
    <testcase/></testsuite><error>of the suite</error></testsuite></testsuites>`);
  expect(found).toEqual([
    { case: "c.worst", outcome: "error", message: "E: m\nat" },
    { case: "s.of the suite", outcome: "passed", durationMs: 1_234_500 },
    { case: "decimal", outcome: "passed", durationMs: 125 },
    { case: "c.odd", outcome: "passed" },
    { case: "c.g", outcome: "skipped", word: "suppressed" },
    { case: "c.flaky", outcome: "passed", word: "flaky" },
    { case: "c.log", outcome: "failed", message: "out <1>" },
    { case: "s", outcome: "passed" },
  ]);
  expect(await records("<testsuites/>")).toEqual([]);
});

test("encodings by BOM and by declaration", async () => {
  const xml = (encoding: string) =>
    `<?xml version="1.0" encoding="${encoding}"?><testsuite><testcase name="é"/></testsuite>`;
  const latin = Uint8Array.from(xml("ISO-8859-1"), (char) => char.charCodeAt(0));
  const wide = new Uint8Array(xml("UTF-16").length * 2 + 2);
  const view = new DataView(wide.buffer);
  view.setUint16(0, 0xfeff);
  [...xml("UTF-16")].forEach((char, at) => view.setUint16(2 + at * 2, char.charCodeAt(0)));
  for (const bytes of [latin, wide, bytesOf("\uFEFF" + xml("utf-8"))]) {
    expect(await records(bytes, junit, 1)).toEqual([{ case: "é", outcome: "passed" }]);
    expect(detectFormat("x.xml", bytes).name).toBe("junit");
  }
  // A BOM counts only at the start of the file, not at the start of a later chunk.
  const inside = `<testsuite>${" ".repeat(200)}<testcase name="a\uFEFFb"/></testsuite>`;
  expect(await records(inside, junit, 1)).toEqual([{ case: "a\uFEFFb", outcome: "passed" }]);
  await expect(read(junit, xml("EBCDIC-37"))).rejects.toThrow('encoding "EBCDIC-37" is unknown');
  await expect(read(junit, Uint8Array.from([...bytesOf("<testsuite>"), 0xff, 0xfe, 0x80]))).rejects.toThrow(
    "not valid utf-8",
  );
});

test.each([
  ["nothing", ""],
  ["white space", " \n"],
  ["text", "hello"],
  ["another root", "<result><testsuite/></result>"],
  ["two roots", "<testsuite/><testsuite/>"],
  ["half", "<testsuite><testcase name='a'>"],
  ["half a tag", "<testsuite><testca"],
  ["crossed tags", "<testsuite><testcase></testsuite></testcase>"],
  [
    "entity bomb",
    '<!DOCTYPE t [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]><testsuite><testcase name="&b;"/></testsuite>',
  ],
  ["outside entity", '<!DOCTYPE t [<!ENTITY x SYSTEM "file:///etc/passwd">]><testsuite>&x;</testsuite>'],
  ["unknown entity", "<testsuite><testcase name='&what;'/></testsuite>"],
  ["depth", `${"<testsuite>".repeat(300)}${"</testsuite>".repeat(300)}`],
  ["an endless name", `<testsuite><${"x".repeat(5 << 20)}/></testsuite>`],
])("%s is a clear error", async (_, input) => {
  const error = await read(junit, input, 1 << 16).catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(FormatError);
  expect((error as FormatError).code).toBe("BAD_REQUEST");
  expect((error as FormatError).message).toMatch(/^Not a readable JUnit XML file: .{5,200}$/);
});

test("a long failure in an attribute is cut, not refused", async () => {
  const text = "x".repeat(300_000);
  const [record] = await records(
    `<testsuite><testcase name="${
      "n".repeat(5000)
    }"><failure message="${text}">${text}</failure></testcase></testsuite>`,
  );
  expect(record).toMatchObject({ outcome: "failed", case: "n".repeat(1000) });
  expect(record!.message!.length).toBe(4000);
});

test("50 MB of cases stream in bounded memory", async () => {
  const line = bytesOf(
    `<testcase classname="suite.of.cases" name="one of many" time="0.01"><failure message="m">${
      "t".repeat(900)
    }</failure></testcase>\n`
      .repeat(60),
  );
  const rounds = Math.ceil((50 << 20) / line.length);
  let ahead = 0;
  async function* input() {
    yield bytesOf("<testsuite>");
    for (let at = 0; at < rounds; at++) {
      ahead++;
      yield line;
    }
    yield bytesOf("</testsuite>");
  }
  let count = 0;
  let furthest = 0;
  for await (const items of junit.parse(input())) {
    count += items.filter((item) => item.kind === "result").length;
    furthest = Math.max(furthest, ahead - count / 60);
  }
  expect(count).toBe(rounds * 60);
  // Items are yielded during the read, never more than a few chunks late.
  expect(furthest).toBeLessThan(5);
});

test("subtests.txt: scores, words, and lines that are neither, by their number", async () => {
  const text =
    "# head\n\na=1\r\nb = 0\nc=d=0.5\nodd=\n=1\nno sign\ne=PASS\nf=skip\ng=-1\nh=constructor\ni=50%\nj=0.0";
  const items = await read(subtests, text, 3);
  expect(
    items.flatMap((item) => item.kind === "result" ? [`${item.record.case} ${item.record.outcome}`] : []),
  ).toEqual(
    ["a passed", "b failed", "c=d passed", "e passed", "f skipped", "i passed", "j failed"],
  );
  expect(items.flatMap((item) => item.kind === "rejected" ? [item.place] : [])).toEqual([6, 7, 8, 11, 12].map(
    (line) => `line ${line}`,
  ));
  expect(detectFormat("a/b/subtests.txt", bytesOf(text)).name).toBe("subtests");
  await expect(read(subtests, "a".repeat(30_000), 1000)).rejects.toBeInstanceOf(FormatError);
  await expect(read(subtests, new Uint8Array([0xff]))).rejects.toBeInstanceOf(FormatError);
});

test("an unknown format's error lists the known formats", () => {
  for (const input of ["", "{}", "<html></html>", "\0\0\0"]) {
    const detect = () => detectFormat("x.bin", bytesOf(input));
    expect(detect).toThrow(HubError);
    expect(detect).toThrow("JUnit XML");
  }
});

const piece = fc.constantFrom(
  ..."<testsuite> </testsuite> <testcase name='a'> <testcase/> </testcase> <failure> </failure> <![CDATA[ ]]> &lt; &#0;"
    .split(" "),
  "<?xml version='1.0'?>",
  "<!DOCTYPE a>",
  "&#x110000;",
  "<!--",
  "-->",
  "\0",
  "\uFEFF",
  "a=1\n",
  "=",
  "\uD800",
);
const document = fc.oneof(
  fc.array(piece, { maxLength: 30 }).map((parts) => bytesOf(parts.join(""))),
  fc.array(piece, { maxLength: 10 }).map((parts) => bytesOf(`<testsuite>${parts.join("")}</testsuite>`)),
  fc.string({ unit: "binary", maxLength: 300 }).map(bytesOf),
  fc.uint8Array({ maxLength: 400 }),
);

test.each(formats.map((format) => [format.name, format] as const))(
  "%s: throws only its own errors, yields valid records, and the same for any chunks",
  async (_, format) => {
    await fc.assert(
      fc.asyncProperty(document, fc.integer({ min: 1, max: 50 }), async (bytes, size) => {
        format.recognises("subtests.txt", bytes);
        const outcome = async (chunk: number) => {
          try {
            return await read(format, bytes, chunk);
          } catch (error) {
            expect(error).toBeInstanceOf(FormatError);
            return "refused";
          }
        };
        const whole = await outcome(65_536);
        expect(await outcome(size)).toEqual(whole);
        if (whole === "refused") return;
        for (const item of whole) {
          if (item.kind === "result") expect(resultRecord.safeParse(item.record).success).toBe(true);
        }
      }),
      { numRuns: 500 },
    );
  },
);

test("a stream split for its head stays complete, and is closed even if never read", async () => {
  for (const size of [1, 1000, 4096, 9000]) {
    const bytes = crypto.getRandomValues(new Uint8Array(9000));
    const { head, all } = await splitHead(chunks(bytes, size));
    expect(head).toEqual(bytes.subarray(0, 4096));
    expect(await new Response(ReadableStream.from(all)).bytes()).toEqual(bytes);
  }
  let isClosed = false;
  const stream = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.enqueue(new Uint8Array(5000)),
    cancel: () => void (isClosed = true),
  });
  const { all } = await splitHead(stream);
  await all.return();
  expect(isClosed).toBe(true);
});
