import type { RunRecord } from "../../schemas/record.ts";

/** A build (pipeline, workflow run) of a CI system, as its lists tell it. */
export interface Build {
  id: string;
  /** Changes when the build is run again or goes on. */
  version: string;
  /** Where it stands in the source's order: milliseconds, or a number that grows. */
  at: number;
  isOver: boolean;
}

/** What there is to read of a CI system. */
export interface BuildSource<B extends Build> {
  /** Pages of the builds at or after `from`, in any order; older ones do no harm, nor do those told twice. */
  list(from: number): AsyncIterable<B[]>;
  /** Where `list` passes over what is older than the first scrape wants: the greatest `at` of that. */
  readonly floor?: number | undefined;
  /** The run a build gave, or why it gives none. @throws HubError where it cannot be read now */
  read(build: B): Promise<RunRecord | string>;
}

export interface BuildWindow {
  /** Where the first scrape begins. */
  first: number;
  /** How far behind what was read builds are looked at again: for those that came late, or were run again. */
  overlap: number;
  /** How long one that is not over, or cannot be read, keeps the watermark behind it. */
  patience: number;
  /** Beyond it no `at` is believed: the clock of a source may be wrong. */
  most?: number;
}
