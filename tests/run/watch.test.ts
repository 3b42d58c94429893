import { expect, test } from "vitest";
import { watchSources } from "../../run/watch.ts";

test("reports a change of a source file once, and ignores other files", async () => {
  const folder = await Deno.makeTempDir({ prefix: "chub-watch-" });
  await Deno.mkdir(`${folder}/db`);
  await Deno.mkdir(`${folder}/tests`);
  await Deno.mkdir(`${folder}/data`);
  const watcher = watchSources(folder);
  try {
    const changes: (string | undefined)[] = [];
    const first = watcher.next().then((path) => changes.push(path));
    for (const other of ["notes.md", "tests/a.test.ts", "data/x.json"]) {
      await Deno.writeTextFile(`${folder}/${other}`, "x");
    }
    // Synchronously, so that both events are within the time in which changes are merged.
    Deno.writeTextFileSync(`${folder}/db/a.ts`, "1");
    Deno.writeTextFileSync(`${folder}/db/a.ts`, "2");
    await first;
    expect(changes).toEqual(["db/a.ts"]);
    const second = watcher.next();
    await Deno.remove(`${folder}/db/a.ts`);
    expect(await second).toBe("db/a.ts");
    const last = watcher.next();
    watcher.close();
    expect(await last).toBeUndefined();
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
