import { expect, test } from "vitest";
import { HOME } from "./helpers/app.ts";
import { sourceFiles } from "./helpers/source_files.ts";

/** Imports that CONTRIBUTING.md permits below its table. */
const EXCEPTIONS = [
  "run/permissions -> config/config",
  "run/start -> config/config",
  "run/start -> config/help",
];
const FREE_TYPES = ["config/config", "config/auth", "db/core/queryable", "cron/queue"];

interface Import {
  from: string;
  to: string;
  isType: boolean;
  /** The imported names; undefined means all. */
  names: string[] | undefined;
}

const IMPORT = /^(?:import|export)\s+(type\s+)?(?:(\{[^}]*\}|\*(?: as \w+)?)\s+from\s+)?"(\.[^"]+)";/gm;
const DYNAMIC = /\bimport\("(\.[^"]+)"\)/g;

const files = await sourceFiles();
const texts = new Map(files.map((file) => [file, Deno.readTextFileSync(`${HOME}/${file}`)]));
const imports = files.flatMap(importsOf);
const exists = new Set(files);

function importsOf(from: string): Import[] {
  const text = texts.get(from)!;
  const resolve = (target: string) => new URL(target, `file:///${from}`).pathname.slice(1);
  const found = Array.from(text.matchAll(IMPORT), ([, type, names, target]): Import => ({
    from,
    to: resolve(target!),
    isType: type !== undefined,
    names: names?.startsWith("{") ? namesIn(names) : undefined,
  }));
  const dynamic = Array.from(
    text.matchAll(DYNAMIC),
    ([, target]): Import => ({ from, to: resolve(target!), isType: false, names: undefined }),
  );
  return [...found, ...dynamic];
}

function namesIn(list: string): string[] {
  return list.slice(1, -1).split(",").map((name) => name.trim().replace(/^type /, "").split(" as ")[0]!)
    .filter((name) => name !== "");
}

const withoutEnding = (path: string) => path.replace(/\.tsx?$/, "");
const ownerOf = (path: string) => withoutEnding(path.split("/")[0]!);

/** Reads the table of permitted imports in CONTRIBUTING.md. */
function readLaw(): Map<string, string[]> {
  const rows = Deno.readTextFileSync(`${HOME}/CONTRIBUTING.md`)
    .matchAll(/^\| `(\w+)(?:\/|\.ts)`[^|]*\|[^|]+\| ([^|]+?) *\|$/gm);
  return new Map(Array.from(rows, ([, owner, allowed]) => [
    owner!,
    allowed === "none" ? [] : allowed!.split(", "),
  ]));
}

test("each folder imports only what the table in CONTRIBUTING.md allows", () => {
  const law = readLaw();
  expect(law.size).toBe(15);
  const broken = imports.filter(({ from, to, isType }) => {
    const allowed = law.get(ownerOf(from));
    if (allowed === undefined || ownerOf(from) === ownerOf(to)) return false;
    const target = withoutEnding(to);
    return !(
      [...allowed, "turns"].some((one) => target === one || target.startsWith(`${one}/`)) ||
      isType && (FREE_TYPES.includes(target) || from === "client.ts" && to.startsWith("routers/")) ||
      EXCEPTIONS.includes(`${withoutEnding(from)} -> ${target}`)
    );
  });
  expect(broken.map(({ from, to }) => `${from} -> ${to}`)).toEqual([]);
});

/** Returns the first circle among the arrows, as the names on it, or undefined. */
function findCircle(arrows: Map<string, Set<string>>): string[] | undefined {
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (name: string): string[] | undefined => {
    if (done.has(name)) return undefined;
    const at = path.indexOf(name);
    if (at >= 0) return [...path.slice(at), name];
    path.push(name);
    for (const next of arrows.get(name) ?? []) {
      const circle = visit(next);
      if (circle !== undefined) return circle;
    }
    path.pop();
    done.add(name);
    return undefined;
  };
  for (const name of arrows.keys()) {
    const circle = visit(name);
    if (circle !== undefined) return circle;
  }
  return undefined;
}

function arrowsOf(pairs: [from: string, to: string][]): Map<string, Set<string>> {
  const arrows = new Map<string, Set<string>>();
  for (const [from, to] of pairs) if (from !== to) arrows.set(from, (arrows.get(from) ?? new Set()).add(to));
  return arrows;
}

test("no files import each other in a circle, types included", () => {
  expect(findCircle(arrowsOf([["a", "b"], ["b", "c"], ["c", "b"]]))).toEqual(["b", "c", "b"]);
  expect(findCircle(arrowsOf(imports.map(({ from, to }) => [from, to])))).toBeUndefined();
});

test.each(["db", "scrapers"])("the subfolders of %s/ do not import each other in a circle", (folder) => {
  const roomOf = (path: string) => path.startsWith(`${folder}/`) ? path.split("/").at(-2)! : undefined;
  const pairs = imports.flatMap(({ from, to }): [string, string][] => {
    const [a, b] = [roomOf(from), roomOf(to)];
    return a === undefined || b === undefined || a === folder || b === folder ? [] : [[a, b]];
  });
  expect(pairs.length).toBeGreaterThan(10);
  expect(findCircle(arrowsOf(pairs))).toBeUndefined();
});

test("every import names a file that exists", () => {
  const missing = imports.filter(({ to }) => !exists.has(to) && /\.tsx?$/.test(to));
  expect(missing.map(({ from, to }) => `${from} -> ${to}`)).toEqual([]);
});

/** Files loaded by another program under another name, or from an address computed at run time. */
const ENTRIES = ["run/lab/sample/suite.ts", "run/lab/sample/compiler.ts", "tests/helpers/global_setup.ts"];

test("every exported function, class and constant is imported somewhere; every exported type is imported or used in its file", () => {
  const whole = new Set(imports.filter(({ names }) => names === undefined).map(({ to }) => to));
  const named = new Set(imports.flatMap(({ to, names = [] }) => names.map((name) => `${to} ${name}`)));
  const unused = files.filter((file) => !whole.has(file) && !ENTRIES.includes(file)).flatMap((file) => {
    const text = texts.get(file)!;
    const exported =
      /^export (?:async |abstract |declare )*(function\*?|class|const|let|interface|type|enum) \*?(\w+)/gm;
    return Array.from(text.matchAll(exported)).filter(([, kind, name]) => {
      const isType = kind === "interface" || kind === "type";
      const uses = text.match(new RegExp(`\\b${name}\\b`, "g"))!.length;
      return !named.has(`${file} ${name}`) && !(isType && uses > 1);
    }).map(([, , name]) => `${file} ${name}`);
  });
  expect(unused).toEqual([]);
});
