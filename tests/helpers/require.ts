import { test, type TestContext, type TestOptions } from "vitest";

type Body = (context: TestContext) => unknown;

/** What `requires` returns: the part of vitest's `test` that works with and without the required part. */
export interface GatedTest {
  (name: string, body: Body, timeoutMs?: number): void;
  (name: string, options: Omit<TestOptions, "shuffle">, body: Body): void;
  each: typeof test.each;
  for: typeof test.for;
}

/**
 * Vitest's `test` if a required part is present; else skips tests and adds the part and its installation to their names. With
 * CHUB_REQUIRE_ALL=1 a missing part is a failure.
 */
export function requires(part: string, isPresent: boolean, howToGet: string): GatedTest {
  if (isPresent) return test;
  const reason = `needs ${part}: ${howToGet}`;
  const instead = Deno.env.get("CHUB_REQUIRE_ALL") === "1" ? test : test.skip;
  const named = (name: unknown) => `${name} [${reason}]`;
  const body = () => {
    throw new Error(reason);
  };
  const { each, for: forEach } = instead;
  return Object.assign((name: string) => instead(named(name), body), {
    each: (...cases: unknown[]) => (name: unknown) => Reflect.apply(each, instead, cases)(named(name), body),
    for: (...cases: unknown[]) => (name: unknown) =>
      Reflect.apply(forEach, instead, cases)(named(name), body),
  });
}

/** Whether a program can be started from PATH or the usual system folders. */
export function hasProgram(name: string): boolean {
  return pathOf(name) !== undefined;
}

/** The path of a program that every system has. @throws Error if this one does not */
export function findProgram(name: string): string {
  const path = pathOf(name);
  if (path === undefined) throw new Error(`${name} is not on PATH`);
  return path;
}

function pathOf(name: string): string | undefined {
  const folders = [...(Deno.env.get("PATH") ?? "").split(":"), "/usr/sbin", "/usr/local/sbin"];
  return folders.map((folder) => `${folder}/${name}`).find((path) => {
    try {
      return Deno.statSync(path).isFile;
    } catch {
      return false;
    }
  });
}
