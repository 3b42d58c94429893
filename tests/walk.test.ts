import { expect, test } from "vitest";
import { allRoutes } from "../app.ts";
import { openApi } from "../routers/rest/openapi.ts";
import { siteMap } from "../routers/rest/site_map.ts";
import { Validator } from "@seriousme/openapi-schema-validator";
import { HOME } from "./helpers/app.ts";

/** CONTRIBUTING's table, and files beside it: what each may import besides itself, packages and std. */
const LAW: Record<string, string[]> = {
  schemas: [],
  errors: [],
  patterns: ["errors"],
  turns: [],
  config: ["config_auth", "config_limits", "config_sources", "errors", "patterns"],
  db: ["schemas", "errors"],
  auth: ["db", "schemas", "errors"],
  config_auth: [],
  config_limits: [],
  config_sources: [],
  formats: ["schemas", "errors"],
  scrapers: ["formats", "schemas", "errors", "patterns"],
  answers: ["schemas", "errors"],
  run: ["schemas", "errors"],
  cron: ["scrapers", "formats", "run", "answers", "db", "schemas", "errors", "patterns"],
  routers: [
    "auth",
    "db",
    "answers",
    "scrapers/mod",
    "formats",
    "cron/queue",
    "cron/schedule",
    "schemas",
    "errors",
  ],
  app: ["routers", "auth", "config", "errors"],
  client: ["schemas"],
};
/** Imports beyond the table, each with its reason; the list only shrinks. */
const EXCEPTIONS = [
  "run/permissions -> config", // the table says so
  "run/start -> config", // a program of its own, which derives the hub's flags
];
/** What every folder may import. */
const FREE = ["turns"];
/** Imports of types that are free everywhere. */
const FREE_TYPES = ["config", "config_auth", "db/client", "cron/queue"];
/** Files over 300 lines; the list only shrinks. */
const LIMIT = 300;
const LONG: string[] = [];

async function* sources(folder = HOME): AsyncGenerator<string> {
  for await (const entry of Deno.readDir(folder)) {
    if (["node_modules", "data", ".git", ".ci"].includes(entry.name)) continue;
    if (entry.isDirectory) yield* sources(`${folder}/${entry.name}`);
    else if (entry.name.endsWith(".ts")) yield `${folder}/${entry.name}`;
  }
}

const files = (await Array.fromAsync(sources())).map((path) => path.slice(HOME.length + 1)).sort();
const read = (path: string) => Deno.readTextFileSync(`${HOME}/${path}`);

test("who imports whom keeps to the table", () => {
  const broken: string[] = [];
  for (const file of files) {
    const owner = file.includes("/") ? file.split("/")[0]! : file.replace(".ts", "");
    const allowed = LAW[owner];
    if (allowed === undefined) continue;
    for (
      const [, typed, target] of read(file).matchAll(/^(?:import|export) (type )?[^;]*?from "(\.[^"]+)";/gms)
    ) {
      const path = new URL(target!, `file:///${file}`).pathname.slice(1).replace(/\.ts$/, "");
      const isOwn = path.split("/")[0] === owner && path.includes("/");
      const isAllowed = allowed.some((one) => path === one || path.startsWith(`${one}/`));
      const isFree = FREE.includes(path) || typed !== undefined && FREE_TYPES.includes(path);
      const isTypeOfRouters = owner === "client" && typed !== undefined && path.startsWith("routers/");
      const law = `${file.replace(/\.ts$/, "")} -> ${path}`;
      if (!isOwn && !isAllowed && !isFree && !isTypeOfRouters && !EXCEPTIONS.includes(law)) broken.push(law);
    }
  }
  expect(broken).toEqual([]);
});

test("CONTRIBUTING shows the same table", () => {
  const rows = read("CONTRIBUTING.md").matchAll(/^\| `([\w.]+)\/?` +\|[^|]+\| ([^|(]+?) *(?:\([^|]*)?\|$/gm);
  const shown = Array.from(rows, ([, owner, allowed]) => {
    const names = allowed!.split(", ").filter((name) => name !== "zod" && name !== "std");
    return [owner!.replace(".ts", ""), names.map((name) => name.replace(".ts", "")).sort()] as const;
  });
  expect(shown.length).toBeGreaterThan(8);
  for (const [owner, allowed] of shown) expect([owner, allowed]).toEqual([owner, LAW[owner]?.toSorted()]);
});

test("no file is over the limit but those listed, and a listed one still is", () => {
  const long = files.filter((file) => read(file).split("\n").length - 1 > LIMIT);
  expect(long).toEqual(LONG);
});

test("SQL stands in db/ only", () => {
  const found = files.filter((file) =>
    /^(?!db\/|tests\/|bench\/)/.test(file) && /\b(?:sql|tx)(?:<[^`]*>)?`/.test(read(file))
  );
  expect(found).toEqual([]);
});

test("only config.ts and programs of their own read the environment", () => {
  const allowed = [
    "config.ts",
    "config_sources.ts",
    "main.ts",
    "run/start.ts",
    "run/demo_client.ts",
    "run/lab/submit.ts",
    "run/lab/sample/run_suite.ts",
  ];
  const found = files.filter((file) => !/^(?:tests|bench)\//.test(file) && /Deno\.env/.test(read(file)));
  expect(found.filter((file) => !allowed.includes(file))).toEqual([]);
});

test("signals to process ids are sent by run/kill.ts and run/process_group.ts alone, which check the ids", () => {
  const calls =
    /\b(?:Deno|process)\.kill\(|\bsymbols\.kill\(|\bkill: \{ parameters|"kill"\]|Command\("p?kill/;
  const senders = files.filter((file) => calls.test(read(file)));
  expect(senders).toEqual(["run/kill.ts", "run/process_group.ts"]);
  for (const file of senders) {
    for (const [call] of read(file).matchAll(/\bkill\([^;\n]*/g)) expect(call).toContain("processId(");
  }
});

test("every task is told in the README and every dependency in docs/dependencies.md", () => {
  const { tasks, imports } = JSON.parse(read("deno.json")) as {
    tasks: Record<string, unknown>;
    imports: Record<string, string>;
  };
  for (const task of Object.keys(tasks)) expect(read("README.md")).toContain(`deno task ${task}`);
  for (const target of Object.values(imports)) {
    expect(read("docs/dependencies.md")).toContain(`\`${/^npm:(@?[^@]+)@/.exec(target)![1]}\``);
  }
});

test("every route is in the site map and in OpenAPI, once", () => {
  const { routes, extra } = allRoutes();
  const lines = siteMap(routes, extra);
  const document = openApi(routes, extra) as {
    paths: Record<string, Record<string, { operationId: string }>>;
  };
  for (const { method, path } of [...routes, ...extra]) {
    expect(lines.some((line) => line.method === method && line.path === path), `${method} ${path}`).toBe(
      true,
    );
    expect(document.paths[path]?.[method.toLowerCase()], `${method} ${path}`).toBeDefined();
  }
  const ids = Object.values(document.paths).flatMap((methods) =>
    Object.values(methods).map((operation) => operation.operationId)
  );
  expect(new Set(ids).size).toBe(ids.length);
  expect(routes.length).toBeGreaterThan(25);
});

test("the OpenAPI document is valid 3.1", async () => {
  const { routes, extra } = allRoutes();
  const result = await new Validator().validate(JSON.parse(JSON.stringify(openApi(routes, extra))));
  expect(result.errors ?? []).toEqual([]);
  expect(result.valid).toBe(true);
});

test("every route states a role, and whatever changes something wants one", () => {
  const { routes, extra } = allRoutes();
  for (const { method, path, role } of [...routes, ...extra]) {
    const isLogin = path === "/api/auth/login";
    if (method !== "GET" && !isLogin) expect(role, `${method} ${path}`).not.toBe("anyone");
  }
});
