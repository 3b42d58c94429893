/** The lab's machines and tests. */
export interface Catalogue {
  machines: {
    name: string;
    os: string;
    pool: string; /** Whether its jobs are lost, as a simulated fault. */
    loses?: boolean;
  }[];
  tests: Record<string, {
    /** Program and arguments, run in the job's scratch folder. `deno`: the lab's Deno; `{lab}`: the lab's folder. */
    command: string[];
    timeLimitMs: number;
    /** Names of result files, which are kept as artifacts. */
    results: string[];
  }>;
}

/** Parses a catalogue. @throws Error that states what is invalid */
export function readCatalogue(text: string): Catalogue {
  const value = JSON.parse(text) as Catalogue;
  if (!Array.isArray(value.machines) || typeof value.tests !== "object") {
    throw new Error("the catalogue must have machines and tests");
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
