import { expect, test } from "vitest";
import { allRoutes } from "../app.ts";
import { openApi } from "../routers/rest/openapi.ts";
import { siteMap } from "../routers/rest/site_map.ts";
import { Validator } from "@seriousme/openapi-schema-validator";
import { HOME } from "./helpers/app.ts";
import { sourceFiles } from "./helpers/source_files.ts";

/** Files over 300 lines; the list only shrinks. */
const LIMIT = 300;
const LONG: string[] = [];

const files = await sourceFiles();
const read = (path: string) => Deno.readTextFileSync(`${HOME}/${path}`);

test("only listed files exceed the size limit, and every listed file does", () => {
  const long = files.filter((file) => read(file).split("\n").length - 1 > LIMIT);
  expect(long).toEqual(LONG);
});

test("only db/ contains SQL", () => {
  const found = files.filter((file) =>
    /^(?!db\/|tests\/|bench\/)/.test(file) && /\b(?:sql|tx)(?:<[^`]*>)?`/.test(read(file))
  );
  expect(found).toEqual([]);
});

test("only config/config.ts and separate programs read the environment", () => {
  const allowed = [
    "config/config.ts",
    "config/sources.ts",
    "main.ts",
    "run/start.ts",
    "run/demo_client.ts",
    "run/lab/submit.ts",
    "run/lab/sample/run_suite.ts",
  ];
  const found = files.filter((file) => !/^(?:tests|bench)\//.test(file) && /Deno\.env/.test(read(file)));
  expect(found.filter((file) => !allowed.includes(file))).toEqual([]);
});

test("only run/kill.ts and run/process_group.ts, which check process ids, send signals to them", () => {
  const calls =
    /\b(?:Deno|process)\.kill\(|\bsymbols\.kill\(|\bkill: \{ parameters|"kill"\]|Command\("p?kill/;
  const senders = files.filter((file) => calls.test(read(file)));
  expect(senders).toEqual(["run/kill.ts", "run/process_group.ts"]);
  for (const file of senders) {
    for (const [call] of read(file).matchAll(/\bkill\([^;\n]*/g)) expect(call).toContain("processId(");
  }
});

test("the README lists every task, and docs/dependencies.md every dependency", () => {
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

test("every route states a role, and every write requires one", () => {
  const { routes, extra } = allRoutes();
  for (const { method, path, role } of [...routes, ...extra]) {
    const isLogin = path === "/api/auth/login";
    if (method !== "GET" && !isLogin) expect(role, `${method} ${path}`).not.toBe("anyone");
  }
});
