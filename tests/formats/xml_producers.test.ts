import { Buffer } from "node:buffer";
import { deflateSync, gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { readBack } from "../helpers/formats.ts";
import { zipOf } from "../helpers/zip.ts";

test("XML: content after the root is reported by line and column", async () => {
  const document = `<testsuite>\n<testcase name="a"/>\n<testcase name="b"/>\n`;
  for (const size of [5, 64, 1000]) {
    await expect(readBack(document, { size })).rejects.toThrow(
      "line 4, column 1: it ends within <testsuite>",
    );
  }
  await expect(readBack(`${document}</testsuite><?xml version="1.0"?><testsuite/>`)).rejects.toThrow(
    "line 4, column 45: content after the root element",
  );
});

test("JUnit: numeric references to characters that XML forbids are read", async () => {
  const read = await readBack(
    `<testsuite><testcase name="a&#x1F600;&#0;"><failure message="&#x1B;[1m&#65;">&#27;[32mb&#xD800;</failure></testcase></testsuite>`,
    { size: 3 },
  );
  expect(read.records).toEqual([
    { case: "a\u{1F600}\uFFFD", outcome: "failed", message: "\x1b[1mA\n\x1b[32mb\uFFFD" },
  ]);
  await expect(readBack(`<testsuite><testcase name="&#1114112;"/></testsuite>`)).rejects.toThrow(
    "malformed character entity",
  );
});

test("XML: a value or a comment of any length is cut, not refused", async () => {
  const long = "&lt;x".repeat(2_000_000);
  const document =
    `<?long ${long}?><testsuite><!-- ${long} --><testcase name="a"><failure message="${long}"/></testcase><testcase name='${long}'/></testsuite>`;
  const read = await readBack(document.replace("<?long", `<testsuites><?long`) + "</testsuites>", {
    size: 1 << 16,
  });
  expect(read.counts).toEqual({ failed: 1, passed: 1 });
  expect(read.records[0]!.message).toHaveLength(4000);
});

test("a file that quotes XML is not XML: the first element decides the format", async () => {
  const cases: [string, string, Record<string, number>][] = [
    ["r.ndjson", '{"case":"w","outcome":"failed","message":"expected <testsuite> "}', { failed: 1 }],
    ["r.csv", "case,outcome,message\na,failed,got <testcase > twice\n", { failed: 1 }],
    ["r.tap", "1..1\nok 1 - prints <testsuite name=x>\n", { passed: 1 }],
    ["r.sum", "\t\t=== g tests ===\nFAIL: scan-file <testcase >\n", { failed: 1 }],
    [
      "Test.xml",
      '<?xml version="1.0"?><!-- a --><Site><Testing><Test Status="failed"><Name>a</Name><Results><Measurement><Value><![CDATA[<testsuite >]]></Value></Measurement></Results></Test></Testing></Site>',
      { failed: 1 },
    ],
    [
      "r.xml",
      '\uFEFF<?xml version="1.0"?>\n<!DOCTYPE testsuites [ <!-- > --> <!ELEMENT a (b)> ] >\n<!-- <Site> --><j:testsuites xmlns:j="x"><j:testcase name="a"/></j:testsuites>',
      { passed: 1 },
    ],
  ];
  for (const [name, text, counts] of cases) {
    expect([name, (await readBack(text, { name })).counts]).toEqual([name, counts]);
    expect([name, (await readBack(text)).counts]).toEqual([name, counts]);
  }
  const zip = zipOf({ "console.log": "it printed <testsuites> and more", "r.tap": "1..1\nok 1 - a\n" });
  expect((await readBack(zip)).notes).toEqual(["the file: it is of an unknown format, and was skipped"]);
});

test("JUnit: the error names the test element of another kind of report; DejaGnu's are read", async () => {
  await expect(
    readBack(
      '<testsuites xmlns="http://check.sourceforge.net/ns"><suite><test result="failure"/></suite></testsuites>',
    ),
  ).rejects.toThrow("its tests are <suite>, not <testcase>");
  expect((await readBack("<testsuites><testsuite name='a'/></testsuites>")).counts).toEqual({});
  const read = await readBack(`<?xml version="1.1"?>
<!DOCTYPE testsuite [
<!ELEMENT testsuite (test | summary)+>
]>
<testsuite>
  <test><input></input><output>said</output><result>FAIL</result><name>gdb.base/a.exp: x (timeout)</name><prms_id>0</prms_id></test>
  <test><result>KFAIL</result><name>b</name><prms_id>bug/1</prms_id></test>
  <test><result>GOOD</result><name>c</name></test>
  <summary><result>FAIL</result><description># of unexpected failures</description><total>1</total></summary>
</testsuite>`);
  expect(read.records).toEqual([
    { case: "gdb.base/a.exp: x", outcome: "failed", message: "timeout\nsaid" },
    { case: "b", outcome: "xfailed", word: "KFAIL", message: "PRMS bug/1" },
  ]);
  expect(read.rejected).toEqual(['test c has a result that DejaGnu does not define: "GOOD"']);
});

test("JUnit: peculiarities of several producers", async () => {
  const read = await readBack(`<testsuites timestamp="2024-05-01T10:00:00Z">
<testsuite name="DB" hostname="tbd">
<testcase name="" classname=""><failure message="SetUpTestSuite failed"/></testcase>
<testcase name="eclipse" classname="c" ignored="true"/>
<testcase name="skips" classname="c" status="run" result="skipped"/>
<testcase name="gradle" classname="c"><failure message="org.X: exp" type="org.X">org.X: exp
  at a</failure></testcase>
<testcase name="cmake" classname="cmake" status="fail"><failure message="Failed"/><system-out>assertion failed</system-out></testcase>
<testcase name="xsl" classname="c"><failure><message>why</message><stack>at b</stack></failure></testcase>
</testsuite></testsuites>`);
  expect(read.records).toEqual([
    { case: "DB", outcome: "failed", message: "SetUpTestSuite failed" },
    { case: "c.eclipse", outcome: "skipped", word: "ignored" },
    { case: "c.skips", outcome: "passed", word: "skipped" },
    { case: "c.gradle", outcome: "failed", message: "org.X: exp\n  at a" },
    { case: "cmake", outcome: "failed", message: "Failed\n\nassertion failed" },
    { case: "c.xsl", outcome: "failed", message: "whyat b" },
  ]);
  expect(read.meta).toEqual({ startedAt: "2024-05-01T10:00:00.000Z" });
});

test("XML in encodings by Python's and Windows's names", async () => {
  const head = (encoding: string) =>
    `<?xml version="1.0" encoding="${encoding}"?><testsuite><testcase name="`;
  const bytes = Buffer.concat([
    Buffer.from(head("cp932")),
    Buffer.from([0x93, 0xfa]),
    Buffer.from('"/></testsuite>'),
  ]);
  expect((await readBack(bytes)).records).toEqual([{ case: "\u65e5", outcome: "passed" }]);
  expect((await readBack(`${head("utf-8-sig")}é"/></testsuite>`)).records[0]!.case).toBe("é");
});

test("CTest: repeated measurements, and output that is large or packed by gzip", async () => {
  const measured = (value: number) =>
    `<NamedMeasurement type="numeric/double" name="lat"><Value>${value}</Value></NamedMeasurement>`;
  const test = (name: string, output: Uint8Array) =>
    `<Test Status="failed"><Name>${name}</Name><Results>${measured(1.5)}${
      measured(2.5)
    }<Measurement><Value encoding="base64" compression="gzip">${
      Buffer.from(output).toString("base64")
    }</Value></Measurement></Results></Test>`;
  const large = Buffer.from("a line of output\n".repeat(3_000_000));
  const read = await readBack(
    `<Site><Testing>${test("a", deflateSync(large))}${test("b", gzipSync("said"))}</Testing></Site>`,
  );
  expect(read.records[0]!.samples).toEqual([{ metric: "lat", value: 1.5 }, { metric: "lat", value: 2.5 }]);
  expect(read.records[0]!.message).toMatch(/^a line of output\n(?:a line of output\n)+/);
  expect(read.records[1]!.message).toBe("said");
});
