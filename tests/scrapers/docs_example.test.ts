import { expect, test } from "vitest";
import { serve } from "../helpers/lab_server.ts";

const home = import.meta.dirname!.replace(/\/tests\/scrapers$/, "");

/** The example as docs/how-to/write-a-scraper.md shows it. */
async function example(): Promise<string> {
  const text = await Deno.readTextFile(`${home}/docs/how-to/write-a-scraper.md`);
  return /```ts\n(.*?)```/s.exec(text)![1]!;
}

async function runExample(source: string, url: string) {
  const folder = await Deno.makeTempDir();
  try {
    const placed = source.replace(/from "\.\/(.*?)"/g, `from "file://${home}/scrapers/$1"`)
      .replace(/from "\.\.\/(.*?)"/g, `from "file://${home}/$1"`);
    await Deno.writeTextFile(`${folder}/nightly.ts`, placed);
    await Deno.writeTextFile(
      `${folder}/try.ts`,
      `import { NightlyScraper } from "./nightly.ts";
       import { checkSettings, createRegistry, tryScrape } from "file://${home}/scrapers/mod.ts";
       import { createFetch } from "file://${home}/scrapers/http/fetch.ts";
       import type { Scraper } from "file://${home}/scrapers/scraper.ts";
       const allow = { hosts: [new URL("${url}").host], roots: [], dataDir: "/nowhere", labUrl: undefined, secrets: [] };
       const scraper = new NightlyScraper() as unknown as Scraper;
       const settings = await checkSettings("nightly", { url: "${url}" }, allow, createRegistry([scraper]));
       const options = { fetch: createFetch({ allow }), signal: new AbortController().signal, allow, timeLimitMs: 120_000 };
       console.log(JSON.stringify(await tryScrape(scraper, { name: "t", settings }, "6", options)));`,
    );
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--check",
        "--cached-only",
        "--lock",
        `${home}/deno.lock`,
        "--frozen",
        "-A",
        "--config",
        `${home}/deno.json`,
        `${folder}/try.ts`,
      ],
    }).output();
    const decoder = new TextDecoder();
    return { success, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

test("the scraper in the docs compiles and scrapes", async () => {
  const server = serve((_, { pathname, search }) => {
    if (pathname === "/builds") {
      expect(search).toBe("?after=6");
      return Response.json([{ number: 7, changelist: 1000 }, { number: 8, changelist: 1005 }]);
    }
    return pathname === "/builds/7/junit.xml"
      ? new Response('<testsuite><testcase classname="c" name="a"/></testsuite>')
      : new Response("", { status: 404 });
  });
  try {
    const { success, stdout, stderr } = await runExample(await example(), server.url);
    expect(success, stderr).toBe(true);
    expect(JSON.parse(stdout)).toMatchObject({
      runs: 1,
      results: 1,
      watermark: "7",
      items: [{ externalId: "7", changelist: 1000, counts: { passed: 1 } }],
      counts: { seen: 2, ignored: { "has no result file": 1 } },
    });
  } finally {
    await server.close();
  }
});

test("the docs' scraper is as short as they state, and a wrong field in it does not compile", async () => {
  const source = await example();
  expect(source.trimEnd().split("\n").length).toBeLessThanOrEqual(40);
  const { success, stderr } = await runExample(
    source.replace("changelist, environment", "changelst: changelist, environment"),
    "http://127.0.0.1:1",
  );
  expect(success).toBe(false);
  expect(stderr).toContain("changelist");
});
