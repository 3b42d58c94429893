import { expect, test } from "vitest";
import { z } from "zod";
import { formats } from "../formats/mod.ts";
import { scrapers } from "../scrapers/mod.ts";
import { ciSettings } from "../scrapers/ci/ci.ts";
import { HOME } from "./helpers/app.ts";

const read = (path: string) => Deno.readTextFileSync(`${HOME}/${path}`);

function markdownIn(folder: string): string[] {
  return [...Deno.readDirSync(`${HOME}/${folder}`)].flatMap(({ name, isDirectory }) =>
    isDirectory ? markdownIn(`${folder}/${name}`) : name.endsWith(".md") ? [`${folder}/${name}`] : []
  ).sort();
}

const pages = ["README.md", "CONTRIBUTING.md", ...markdownIn("docs")];

/** The prose of a page: without blocks of code. */
function proseOf(page: string): string {
  return read(page).replace(/^( *)```.*?^\1```$/gms, "");
}

/** Anchors of a page's headings, by GitHub's rule. */
function anchorsOf(page: string): string[] {
  return [...proseOf(page).matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
    heading!.toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, "").trim().replaceAll(" ", "-")
  );
}

test.each(pages)("links of %s lead to files and headings", (page) => {
  const links = [...proseOf(page).replace(/`[^`\n]*`/g, "").matchAll(/\]\(([^)\s]+)\)/g)].map(([, to]) =>
    to!
  );
  const broken = links.filter((link) => {
    if (/^[a-z]+:/.test(link)) return false;
    const { pathname, hash } = new URL(link, `file:///${page}`);
    const target = pathname.slice(1);
    try {
      Deno.statSync(`${HOME}/${target}`);
    } catch {
      return true;
    }
    return hash !== "" && !anchorsOf(target).includes(decodeURIComponent(hash.slice(1)));
  });
  expect(broken).toEqual([]);
});

test.each(pages)("tasks that %s names exist", (page) => {
  const tasks = Object.keys((JSON.parse(read("deno.json")) as { tasks: object }).tasks);
  const named = [...read(page).matchAll(/\bdeno task ([a-z]\w*)/g)].map(([, name]) => name!);
  expect(named.filter((name) => !tasks.includes(name))).toEqual([]);
});

test("the map lists every page", () => {
  const map = read("docs/README.md");
  const missing = markdownIn("docs").map((page) => page.slice("docs/".length))
    .filter((page) => page !== "README.md" && !page.startsWith("decisions/") && !map.includes(`(${page})`));
  expect(missing).toEqual([]);
});

test("docs/reference/scrapers.md has a row for each scraper, with its settings", () => {
  const page = read("docs/reference/scrapers.md");
  for (const [tag, scraper] of scrapers) {
    const row = page.split("\n").find((line) => line.startsWith(`| \`${tag}\` `));
    expect(row, tag).toBeDefined();
    const { properties = {} } = z.toJSONSchema(scraper.settings, { io: "input", unrepresentable: "any" });
    const hasCommon = "axis" in properties;
    const own = Object.keys(properties).filter((name) => !hasCommon || !Object.hasOwn(ciSettings, name));
    expect(own.filter((name) => !row!.includes(`\`${name}\``)), `settings of ${tag}`).toEqual([]);
  }
  for (const name of Object.keys(ciSettings)) expect(page).toContain(`| \`${name}\` `);
});

test("docs/reference/formats.md has a row for each format, and for no other", () => {
  const page = read("docs/reference/formats.md");
  const table = page.slice(page.indexOf("## Recognized files"), page.indexOf("## What a result contains"));
  const rows = [...table.matchAll(/^\| [^|]+ \| `([^`]+)` +\|/gm)].map(([, name]) => name!);
  expect(rows.sort()).toEqual(formats.map(({ name }) => name).sort());
});

test("the tests that docs/explanation/security.md names exist", () => {
  const [, defenses] = /## Defenses\n(.*?)\n## /s.exec(read("docs/explanation/security.md"))!;
  const cells = [...defenses!.matchAll(/\| ([^|]*?) *\|$/gm)].slice(2).map(([, cell]) => cell!);
  const named = cells.flatMap((cell) => [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name!));
  const exists = (path: string) => {
    try {
      return Deno.statSync(`${HOME}/tests/${path}`).isFile || !path.endsWith(".ts");
    } catch {
      return false;
    }
  };
  expect(named.length).toBeGreaterThan(30);
  expect(named.filter((name) => !exists(`${name}.test.ts`) && !exists(name))).toEqual([]);
});
