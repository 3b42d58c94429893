import { expect, test } from "vitest";
import { loadConfig, SETTINGS } from "../../config/config.ts";
import { settingsHelp } from "../../config/help.ts";
import { HubError } from "../../errors.ts";

test("without settings the hub listens on loopback and keeps everything under data", () => {
  const config = loadConfig({}, "/srv/hub");
  expect(config).toMatchObject({
    host: "127.0.0.1",
    port: 8000,
    dataDir: "/srv/hub/data",
    adminTokenFile: "/srv/hub/data/admin.token",
    dropRoots: [{ name: "drop", url: "file:///srv/hub/data/drop" }],
    vrlsubmitPath: "/srv/hub/run/vrlsubmit",
  });
  expect(Object.isFrozen(config)).toBe(true);
});

test("roots may have names, and be folders, indexes or buckets", () => {
  const { dropRoots } = loadConfig({
    DROP_URLS: "a=file:///x/ /y/z index+http://h/i s3+https://b.example/p?x=1",
  }, "/srv");
  expect(dropRoots).toEqual([
    { name: "a", url: "file:///x" },
    { name: "file:///y/z", url: "file:///y/z" },
    { name: "index+http://h/i", url: "index+http://h/i" },
    { name: "s3+https://b.example/p?x=1", url: "s3+https://b.example/p?x=1" },
  ]);
});

test("every problem is listed at once, with the present value", () => {
  const bad = {
    PORT: "99999",
    DATABASE_URL: "mysql://x",
    DROP_URLS: "ftp://h/x",
    SCRAPE_CONCURRENCY: "none",
    DROP_PATTERN: "(",
  };
  try {
    loadConfig(bad, "/srv");
    expect.unreachable();
  } catch (error) {
    expect(error).toBeInstanceOf(HubError);
    for (const [name, value] of Object.entries(bad)) {
      expect((error as HubError).message).toContain(name);
      expect((error as HubError).message).toContain(JSON.stringify(value));
    }
  }
});

test("a DROP_PATTERN that cannot run in linear time ends the start with an alternative", () => {
  const load = (pattern: string) => () => loadConfig({ DROP_PATTERN: pattern }, "/srv");
  expect(load("^b(?<changelist>\\d+)_(?<package>\\w+)\\.tgz$")).not.toThrow();
  expect(load("(?<changelist>\\d+)(?!x)")).toThrow(
    /DROP_PATTERN.*has a lookahead, "\(\?!x\)".*match the text itself/s,
  );
  expect(load("(\\d+)")).toThrow(/DROP_PATTERN.*lacks the named group \(\?<changelist>…\)/s);
});

test("docs/reference/settings.md has a row for each setting, with the meaning and default that the code declares", () => {
  const docs = Deno.readTextFileSync(new URL("../../docs/reference/settings.md", import.meta.url));
  const rows = new Map(
    Array.from(
      docs.matchAll(/^\| `([A-Z_]+)` *\| (.*?) *\| (.*?) *\|$/gm),
      ([, name, ...cells]) => [name!, cells],
    ),
  );
  expect([...rows.keys()].sort()).toEqual(Object.keys(SETTINGS).sort());
  for (const [name, setting] of Object.entries(SETTINGS)) {
    const [meaning, value] = rows.get(name)!;
    // A row may end with a link.
    expect(meaning!.replace(/ \(\[[^\]]*\]\([^)]*\)\)$/, ""), name).toBe(setting.description);
    expect(value!.replaceAll("`", ""), name).toBe(setting.default.replaceAll("`", ""));
  }
});

test("the help names every setting with its default, in lines that fit a terminal", () => {
  const help = settingsHelp();
  for (const [name, { default: value }] of Object.entries(SETTINGS)) {
    expect(help).toContain(`\n  ${name}\n`);
    expect(help.replaceAll(/\s+/g, " ")).toContain(`(default: ${value})`);
  }
  expect(Math.max(...help.split("\n").map((line) => line.length))).toBeLessThanOrEqual(120);
});
