import { afterAll, beforeAll, expect } from "vitest";
import { type Hub, lines, producersHub, run, suiteOf, tally, works } from "../helpers/producers.ts";
import { requires } from "../helpers/require.ts";

const PYTHON = "/usr/bin/python3";
/** Debian's LLVM tools include lit, each version in its own folder. */
const LIT = (() => {
  try {
    return [...Deno.readDirSync("/usr/lib")].map((entry) => entry.name).filter((name) =>
      /^llvm-\d+$/.test(name)
    )
      .map((name) => `/usr/lib/${name}/build/utils/lit/lit.py`)
      .findLast((path) => works(PYTHON, path, "--version"));
  } catch {
    return undefined;
  }
})();
const withLit = requires(
  "LLVM's lit, and psutil for its timeouts",
  LIT !== undefined && works(PYTHON, "-c", "import psutil"),
  "apt-get install llvm-14-tools (or a later llvm-<version>-tools) python3-psutil",
);

const OUTCOMES: Record<string, string> = {
  PASS: "passed",
  FLAKYPASS: "passed",
  FAIL: "failed",
  XFAIL: "xfailed",
  XPASS: "xpassed",
  UNSUPPORTED: "unsupported",
  UNRESOLVED: "unresolved",
  TIMEOUT: "timeout",
};
/** The words of lit's summary. */
const SUMMARY: Record<string, string> = {
  "Unsupported": "unsupported",
  "Passed": "passed",
  "Passed With Retry": "passed",
  "Expectedly Failed": "xfailed",
  "Unresolved": "unresolved",
  "Timed Out": "timeout",
  "Failed": "failed",
  "Unexpectedly Passed": "xpassed",
};

let hub: Hub;
let folder: string;
beforeAll(async () => {
  hub = await producersHub();
  folder = await suiteOf("lit");
});
afterAll(async () => {
  await hub.close();
  await Deno.remove(folder, { recursive: true });
});

withLit(
  "lit, JSON and JUnit: each test has its printed outcome and metrics",
  async () => {
    const args = [
      "-j2",
      "-v",
      `-Dout=${folder}/out`,
      "--timeout",
      "5",
      "--output",
      "r.json",
      "--xunit-xml-output",
    ];
    const { out } = await run(folder, PYTHON, [LIT!, ...args, "r.xml", "."], {
      PYTHONDONTWRITEBYTECODE: "1",
    });
    const printed = [...out.matchAll(/^([A-Z]+): (demo :: .+) \(\d+ of \d+\)$/gm)].map(([, code, name]) => ({
      case: name!,
      code: code!,
      outcome: OUTCOMES[code!]!,
    }));
    const summed: Record<string, number> = {};
    for (
      const [, words, count] of out.slice(out.indexOf("Testing Time")).matchAll(/^ +(\w[\w ]*?) *: (\d+)$/gm)
    ) {
      const outcome = SUMMARY[words!]!;
      summed[outcome] = (summed[outcome] ?? 0) + Number(count);
    }
    expect(tally(printed.map((one) => one.outcome))).toEqual(summed);
    expect(Object.keys(summed)).toHaveLength(7);

    // Micro-tests are entries of the file beside their test, and are not printed.
    const measured = "demo :: measured.test";
    const micro = [
      { case: `${measured}:micro/a`, outcome: "passed" },
      { case: `${measured}:micro b`, outcome: "failed" },
    ];
    const json = await hub.push(`${folder}/r.json`);
    expect(lines(json.results)).toEqual(lines([...printed, ...micro]));
    const of = (name: string) => json.results.find((one) => one.case === `demo :: ${name}`)!;
    expect(of("flaky.test").word).toBe("FLAKYPASS");
    expect(of("fail.test").message).toContain("it <broke> ]]> &\n");
    expect(of("sub/é.test").message).toContain("é ünï");
    expect(of("hangs.test").message).toContain("Reached timeout of 5 seconds");
    expect(of("hangs.test").durationMs).toBeGreaterThanOrEqual(5000);
    expect(of("unsupported.test").message).toContain("elsewhere");
    const results = /measured\.test' RESULTS \*+\n([^]*?)^\*{10}/m.exec(out)![1]!;
    const values = Object.fromEntries(
      [...results.matchAll(/^(\w+): (.+?) ?$/gm)].map(([, name, value]) => [name, value]),
    );
    expect(values).toMatchObject({ size: "12", time: "0.2500", nan: "nan" });
    expect(json.samples).toEqual(
      new Map<string, number | string>([
        [`${measured}/1/size`, Number(values.size)],
        [`${measured}/1/time`, Number(values.time)],
        [`${measured}/1/hash`, "abc"],
        [`${measured}/1/list`, 1],
        [`${measured}/2/list`, 2],
        [`${measured}:micro/a/1/speed`, 7],
      ]),
    );

    // What it printed.
    await Deno.writeTextFile(`${folder}/lit.log`, out);
    const log = await hub.push(`${folder}/lit.log`);
    expect(lines(log.results)).toEqual(lines(printed));
    const said = (name: string) => log.results.find((one) => one.case === `demo :: ${name}`)!;
    expect(said("flaky.test").word).toBe("FLAKYPASS");
    for (const name of ["fail.test", "hangs.test"]) {
      expect(said(name).message?.replace(/\s+/g, " ")).toContain(
        of(name).message!.slice(0, 300).replace(/\s+/g, " "),
      );
    }
    expect([...log.samples].filter(([key]) => /size|time|hash/.test(key))).toEqual(
      [...json.samples].filter(([key]) => /size|time|hash/.test(key)),
    );

    // Its JUnit reports XFAIL and XPASS as passed, and TIMEOUT as failed.
    const junit = await hub.push(`${folder}/r.xml`);
    const asJunit: Record<string, string> = {
      xfailed: "passed",
      xpassed: "passed",
      timeout: "failed",
      unresolved: "failed",
      unsupported: "skipped",
    };
    expect(lines(junit.results)).toEqual(lines(printed.map((one) => ({
      case: `demo.${one.case.includes("/") ? "" : "demo."}${
        one.case.replace("demo :: ", "").replace("/", ".")
      }`,
      outcome: asJunit[one.outcome] ?? one.outcome,
    }))));
    for (const name of ["fail.test", "sub/é.test"]) {
      const other = junit.results.find((one) => one.case.endsWith(name.replace("/", ".")))!;
      expect(other.message).toBe(of(name).message);
    }
  },
);
