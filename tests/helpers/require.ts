import { test } from "vitest";

/**
 * `test` where a needed part is there; else a skip that names the part and how to get it. With CHUB_REQUIRE_ALL=1 a
 * missing part is a failure.
 */
export function requires(part: string, present: boolean, howToGet: string): typeof test {
  if (present) return test;
  const reason = `needs ${part}: ${howToGet}`;
  if (Deno.env.get("CHUB_REQUIRE_ALL") === "1") {
    return ((name: string) =>
      test(name, () => {
        throw new Error(reason);
      })) as unknown as typeof test;
  }
  return ((name: string) => test.skip(`${name} [${reason}]`, () => {})) as unknown as typeof test;
}

/** Whether a program can be started from PATH or the usual system folders. */
export function hasProgram(name: string): boolean {
  const folders = [...(Deno.env.get("PATH") ?? "").split(":"), "/usr/sbin", "/usr/local/sbin"];
  return folders.some((folder) => {
    try {
      return Deno.statSync(`${folder}/${name}`).isFile;
    } catch {
      return false;
    }
  });
}
