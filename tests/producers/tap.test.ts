import { afterAll, beforeAll, expect } from "vitest";
import { type Hub, lines, producersHub, run, suiteOf, tally, works } from "../helpers/producers.ts";
import { hasProgram, requires } from "../helpers/require.ts";

const withProve = requires(
  "Perl's prove, Test::More and JSON::PP",
  hasProgram("prove") && works("perl", "-MTest::More", "-MJSON::PP", "-MTAP::Parser", "-e", "1"),
  "apt-get install perl",
);
const withArchive = requires(
  "TAP::Harness::Archive",
  works("perl", "-MTAP::Harness::Archive", "-e", "1"),
  "apt-get install libtap-harness-archive-perl",
);

interface Told {
  points: { number: number; description: string; is_ok: number; directive: string; explanation: string }[];
  planned: number | null;
  skip_all: string | null;
  bailout: string | null;
}

let hub: Hub;
let folder: string;
let scripts: string[];
beforeAll(async () => {
  hub = await producersHub();
  folder = await suiteOf("tap");
  scripts = [...Deno.readDirSync(`${folder}/t`)].map((entry) => `t/${entry.name}`).sort();
});
afterAll(async () => {
  await hub.close();
  await Deno.remove(folder, { recursive: true });
});

async function tapOf(script: string): Promise<string> {
  const { out } = await run(folder, "perl", [script]);
  const path = `${folder}/${script.split("/").at(-1)!.replace(/t$/, "tap")}`;
  await Deno.writeTextFile(path, out);
  return path;
}

/** The results that TAP::Parser, the parser of prove, reads in a file. */
async function told(path: string): Promise<Told> {
  const { out, err } = await run(folder, "perl", ["told.pl", path]);
  expect(err).toBe("");
  return JSON.parse(out);
}

/** The cases of a file's points, and its planned but missing points. */
function casesOf({ points, planned }: Told, prefix = ""): { case: string; outcome: string }[] {
  const cases = points.map(({ number, description, is_ok, directive }) => ({
    case: prefix + (description.replace(/^- /, "").replace(/\\([\\#])/g, "$1") || `test ${number}`),
    outcome: directive === "SKIP"
      ? "skipped"
      : directive === "TODO"
      ? is_ok ? "xpassed" : "xfailed"
      : is_ok
      ? "passed"
      : "failed",
  }));
  for (let number = points.length + 1; number <= (planned ?? 0); number++) {
    cases.push({ case: `${prefix}test ${number}`, outcome: "not_run" });
  }
  return cases;
}

withProve("TAP of Test::More: as TAP::Parser reads it", async () => {
  for (const script of [...scripts, "bail.t"]) {
    const path = await tapOf(script);
    const parsed = await told(path);
    const read = await hub.push(path);
    expect(lines(read.results), script).toEqual(lines(casesOf(parsed)));
    if (parsed.bailout) expect(read.notes.join()).toContain(`Bail out! ${parsed.bailout}`);
    if (parsed.skip_all) {
      expect(read.notes.join()).toContain(`the whole file was skipped: ${parsed.skip_all}`);
    }
    if (parsed.planned === null) expect(read.notes.join()).toContain("it has no plan");
    for (const point of parsed.points.filter((one) => one.directive !== "" && one.description !== "")) {
      const name = point.description.replace(/^- /, "");
      expect(read.results.find((one) => one.case === name)!.message, name).toContain(point.explanation);
    }
  }
});

withProve("prove --merge -v: a failing point's output is its message", async () => {
  const { out } = await run(folder, "prove", ["--merge", "-v", "t/all.t"]);
  await Deno.writeTextFile(`${folder}/merged.txt`, out);
  const { results, counts } = await hub.push(`${folder}/merged.txt`);
  const [, failed] = /Failed tests: +(.+)$/m.exec(out.slice(out.indexOf("Test Summary Report")))!;
  const numbers = failed!.split(", ").flatMap((range) => {
    const [from, to = from] = range.split("-").map(Number);
    return Array.from({ length: to! - from! + 1 }, (_, at) => from! + at);
  });
  const [, skipped] = /\(less (\d+) skipped subtests/.exec(out)!;
  expect(counts).toMatchObject({ failed: numbers.length, skipped: Number(skipped), xpassed: 1 });
  const message = (name: string) => results.find((one) => one.case === `t/all.t: ${name}`)!.message;
  expect(message("compares")).toMatch(/got: '1'\n +expected: '2'/);
  expect(message("deep")).toContain("$got->{a}[1] = '2'");
  expect(message("sub fails")).toMatch(/inner[^]*got: 'a'[^]*deepest/);
  expect(message("todo fails")).toContain("not written");
});

withProve(
  "prove -v of many scripts: points are prefixed with their script, and prove's own lines are no points",
  async () => {
    const all: { case: string; outcome: string }[] = [];
    for (const script of scripts) all.push(...casesOf(await told(await tapOf(script)), `${script}: `));
    for (const options of [["-v"], ["-v", "--timer"]]) {
      const { out } = await run(folder, "prove", [...options, ...scripts]);
      expect(out).toMatch(/^ok\b/m);
      await Deno.writeTextFile(`${folder}/all.txt`, out);
      const read = await hub.push(`${folder}/all.txt`);
      expect(lines(read.results)).toEqual(lines(all));
      expect({ ...read.counts, not_run: read.missing }).toEqual(tally(all.map((one) => one.outcome)));
      const [, tests] = /^Files=\d+, Tests=(\d+),/m.exec(out)!;
      expect(read.results.length - read.missing).toBe(Number(tests));
      expect(read.notes.join("\n")).toMatch(/t\/dies\.t: Dubious, test returned 255/);
      expect(read.notes.join("\n")).toMatch(/all of t\/off\.t was skipped: not on this system/);
    }
  },
);

withArchive("prove --archive: the files in it together", async () => {
  const { out } = await run(folder, "prove", ["-Q", "--archive", "out.tgz", ...scripts]);
  const [, tests] = /^Files=\d+, Tests=(\d+),/m.exec(out)!;
  const all: { case: string; outcome: string }[] = [];
  for (const script of scripts) all.push(...casesOf(await told(await tapOf(script))));
  const read = await hub.push(`${folder}/out.tgz`);
  expect(lines(read.results)).toEqual(lines(all));
  expect(read.results.length - read.missing).toBe(Number(tests));
});
