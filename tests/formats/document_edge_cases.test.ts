import { expect, test } from "vitest";
import { junit } from "../../formats/junit.ts";
import { readBack } from "../helpers/formats.ts";

test("JUnit: a nested case is a case of its own with its own verdict", async () => {
  const read = await readBack(
    `<testsuite name="s"><testcase name="outer"><system-out>of outer</system-out><testcase name="inner">
    <failure message="m">text</failure></testcase><error>late</error></testcase></testsuite>`,
    { size: 5 },
  );
  expect(read.records).toEqual([
    { case: "s.inner", outcome: "failed", message: "m\ntext" },
    { case: "s.outer", outcome: "error", message: "late" },
  ]);
});

test.each([
  ["named", "<!DOCTYPE testsuite>"],
  ["outside, which is not read", '<!DOCTYPE testsuite SYSTEM "junit.dtd">'],
  ["of elements", "<!DOCTYPE testsuite [<!ELEMENT testsuite ANY>]>"],
  ["XML 1.1", '<?xml version="1.1"?>'],
  ["blanks before the declaration", '\r\n <?xml version="1.0"?>'],
])("a harmless document type or declaration is ignored: %s", async (_what, head) => {
  const read = await readBack(`${head}<testsuite><testcase name="a"/></testsuite>`, { size: 3 });
  expect(read.counts).toEqual({ passed: 1 });
});

test("a document type with parameter entities is refused", async () => {
  const xml = '<!DOCTYPE t [<!ELEMENT t ANY> %x;]><testsuite><testcase name="a"/></testsuite>';
  await expect(readBack(xml)).rejects.toThrow(
    /line 1, column \d+: its document type declares entities/,
  );
});

test.each([
  ["Shift_JIS", [0x93, 0xfa], "日"],
  ["gb2312", [0xd6, 0xd0], "中"],
  ["windows-1251", [0xff], "я"],
  ["ISO-8859-2", [0xb3], "ł"],
  ["latin-1", [0xe9], "é"],
  ["UTF_8", [0xc3, 0xa9], "é"],
])("the encoding %s by declaration", async (encoding, bytes, name) => {
  const [head, tail] =
    `<?xml version="1.0" encoding="${encoding}"?><testsuite><testcase name="|"/></testsuite>`
      .split("|").map((part) => new TextEncoder().encode(part));
  const file = Uint8Array.from([...head!, ...bytes, ...tail!]);
  for (const size of [1, 7, 65_536]) {
    expect((await readBack(file, { size })).records).toEqual([{ case: name, outcome: "passed" }]);
  }
});

test("bytes invalid in the encoding are reported by approximate place", async () => {
  const text = `<testsuite>${"<testcase/>\n".repeat(30)}`;
  const bytes = Uint8Array.from([...new TextEncoder().encode(text), 0xff, 0xfe, 0x80]);
  await expect(readBack(bytes, { size: 200 })).rejects.toThrow(
    /^Not a readable JUnit XML file: from line 31 on its bytes are not valid utf-8$/,
  );
});

test("CTest: a measurement outside a test is ignored", async () => {
  const read = await readBack(
    '<Site><Testing><NamedMeasurement name="x"><Value>1</Value></NamedMeasurement><Measurement/>' +
      '<Test Status="passed"><Name>a</Name></Test></Testing><Measurement/></Site>',
  );
  expect(read.records).toEqual([{ case: "a", outcome: "passed" }]);
});

test("JSON with non-finite numbers as Python and C++ write them, but not in strings", async () => {
  const lit = '{"__version__":[1],"tests":[{"name":"a: NaN, b [Infinity]","code":"PASS",' +
    '"metrics":{"x":NaN,"y" :\n   -Infinity ,"z":[NaN,1,Infinity],"w":2}},' +
    '{"name":"b","code":"FAIL","output":"x, nan, inf]"}],"elapsed":NaN}';
  for (const size of [1, 2, 3, 7, 64, 65_536]) {
    expect((await readBack(lit, { size })).records).toEqual([
      {
        case: "a: NaN, b [Infinity]",
        outcome: "passed",
        samples: [{ metric: "z", value: 1 }, { metric: "w", value: 2 }],
      },
      { case: "b", outcome: "failed", message: "x, nan, inf]" },
    ]);
  }
  for (const end of ["NaN", "NaN 1]}", "NaNx]}", "]} , NaN", "]},"]) {
    for (const size of [1, 65_536]) {
      await expect(readBack(`{"__version__":[1],"tests":[${end}`, { size })).rejects.toThrow("lit JSON");
    }
  }
});

test("Google Benchmark: a skipped entry has its reason; a non-finite ratio is no sample", async () => {
  const read = await readBack(
    '{"context":{"num_cpus":1},"benchmarks":[{"name":"a","skipped":true,"skip_message":"no cache"},' +
      '{"name":"b_cv","aggregate_unit":"percentage","real_time":-nan,"cpu_time":NaN,"n":1}]}',
  );
  expect(read.records).toEqual([
    { case: "a", outcome: "skipped", message: "no cache" },
    { case: "b_cv", outcome: "passed", samples: [{ metric: "n", value: 1 }] },
  ]);
});

test("LNT: a report with a long machine description is recognised, and a profile is text", async () => {
  const report = JSON.stringify({
    Machine: { Info: { sysctl: "x".repeat(9000) }, Name: "m" },
    Run: { Info: { __report_version__: "1" } },
    Tests: [{ Name: "nts.a.profile", Data: ["eJw="], Info: {} }],
  });
  expect((await readBack(report)).records).toEqual([
    { case: "nts.a.profile", outcome: "passed", samples: [{ metric: "profile", value: "eJw=" }] },
  ]);
});

test("JUnit: an output may be of any length, a tag may not", async () => {
  async function* input(before: string, piece: string, after: string) {
    const encoder = new TextEncoder();
    yield encoder.encode(before);
    const bytes = encoder.encode(piece.repeat(Math.ceil((1 << 20) / piece.length)));
    for (let at = 0; at < 70; at++) yield bytes;
    yield encoder.encode(after);
  }
  const long = input(
    "<testsuite><system-out><![CDATA[",
    "line\n",
    ']]></system-out><testcase name="a"/></testsuite>',
  );
  const items = (await Array.fromAsync(junit.parse(long))).flat();
  expect(items).toEqual([{ kind: "result", record: { case: "a", outcome: "passed" } }]);
  for (
    const [piece, reason] of [
      ["a='1' ", "a tag has more than 10000 attributes"],
      ["      ", "one tag is larger than 64 MiB"],
      ["aaaaaa", "a document type or a name is larger than 4 MiB"],
    ] as const
  ) {
    const endless = input("<testsuite><testcase ", piece, "/></testsuite>");
    await expect(Array.fromAsync(junit.parse(endless))).rejects.toThrow(reason);
  }
});

test("JUnit: XML faults of real producers, and line ends in attributes", async () => {
  const read = await readBack(
    `\n<?xml version="1"?><testsuite><testcase name="a" x="1 < 2 ]]>"><failure message="\x1b[31mat 1\r\nat 2">\x1b[31mat 1\nat 2 ]]>\r\n  more</failure></testcase>` +
      `<testcase name="b <c>"/><testcase name="d\n e&#10;f"/></testsuite>`,
  );
  expect(read.records).toEqual([
    { case: "a", outcome: "failed", message: "\x1b[31mat 1\nat 2 ]]>\n  more" },
    { case: "b <c>", outcome: "passed" },
    { case: "d  e\nf", outcome: "passed" },
  ]);
  for (const size of [1, 2, 3]) {
    const same = await readBack(
      `<testsuite><testcase name="b <c> & d"/><testcase name='q'><error><![CDATA[]]]]><![CDATA[> &amp;]]>&amp;</error></testcase></testsuite>`
        .replace(" & ", " &amp; "),
      { size },
    );
    expect(same.records).toEqual([
      { case: "b <c> & d", outcome: "passed" },
      { case: "q", outcome: "error", message: "]]> &amp;&" },
    ]);
  }
});

test("JUnit: a long text is read wherever its pieces end, within entities and brackets too", async () => {
  for (const text of ["&lt;".repeat(600_000), `<![CDATA[${"]".repeat(1_500_000)}x]]>`]) {
    for (const blank of ["", " ", "  ", "   "]) {
      const document =
        `<testsuite>${blank}<testcase name="a"><system-out>${text}</system-out></testcase></testsuite>`;
      expect((await readBack(document, { size: 1 << 16 })).counts).toEqual({ passed: 1 });
    }
  }
});

test("JUnit: an & that does not begin an entity is reported by line", async () => {
  const lines = (count: number) => "line\n".repeat(count);
  for (
    const [text, line] of [
      [`a & b\n${lines(100_000)}`, 1],
      [`\n\na & b\n${lines(10)}`, 3],
      [`\n\na &\n\n b;`, 3],
      [`\na &b`, 2],
    ] as const
  ) {
    const whole = `<testsuite><testcase name="a"><system-out>${text}</system-out></testcase></testsuite>`;
    for (const size of [10, 1 << 14]) {
      await expect(readBack(whole, { size })).rejects.toThrow(
        `line ${line}: an & does not begin an entity (write &amp;)`,
      );
    }
  }
});
