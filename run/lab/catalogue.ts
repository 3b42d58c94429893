/** What the lab can run, and on what. */
export interface Catalogue {
  machines: { name: string; os: string; pool: string; /** Jobs on it are lost. */ loses?: boolean }[];
  tests: Record<string, {
    /** Program and arguments; `deno` is the lab's own, `{lab}` the lab's folder. Runs in the job's scratch folder. */
    command: string[];
    timeLimitMs: number;
    /** Result files, kept as artifacts. */
    results: string[];
  }>;
}

/** @throws Error saying what is wrong */
export function readCatalogue(text: string): Catalogue {
  const value = JSON.parse(text) as Catalogue;
  if (!Array.isArray(value.machines) || typeof value.tests !== "object") {
    throw new Error("the catalogue needs machines and tests");
  }
  for (const [name, test] of Object.entries(value.tests)) {
    if (!Array.isArray(test.command) || test.command.length === 0) {
      throw new Error(`the test ${name} has no command`);
    }
    if (!(test.timeLimitMs > 0)) throw new Error(`the test ${name} has no timeLimitMs`);
    if (!test.results?.every((file) => /^[\w.-]+$/.test(file) && !file.startsWith("."))) {
      throw new Error(`the test ${name} has result files that are not plain names`);
    }
  }
  return value;
}
