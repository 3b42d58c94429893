import type { RunRecord } from "../../schemas/record.ts";

/** A build (pipeline, workflow run) as a CI system lists it. */
export interface CiBuild {
  id: string;
  /** Changes when the build is rerun or makes progress. */
  version: string;
  /** Position in the source's order: milliseconds, or a growing number. */
  at: number;
  isOver: boolean;
}

/** A CI system that lists builds and reads their runs. */
export interface BuildSource<B extends CiBuild> {
  /** Pages of the builds at or after `from`, in any order; older builds and duplicates do no harm. */
  list(from: number): AsyncIterable<B[]>;
  /** The greatest `at` of the builds that `list` skipped because they are older than the first scrape's window. */
  readonly floor?: number | undefined;
  /** The build's run, or the reason why it has none. @throws HubError when it cannot be read now */
  read(build: B): Promise<RunRecord | string>;
}

export interface BuildWindow {
  /** Lowest `at` of the first scrape. */
  first: number;
  /** How far before the watermark builds are checked again, for those that appeared late or were rerun. */
  overlap: number;
  /** How far an unfinished or unreadable build may hold back the watermark. */
  patience: number;
  /** Upper limit of a trusted `at`: a source's clock may be wrong. */
  most?: number;
}
