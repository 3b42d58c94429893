import { HubError } from "../../errors.ts";
import type { JobInput } from "../../schemas/job.ts";
import { findBuildsFor, getBuildFor } from "../drop/builds.ts";
import type { Queryable } from "../core/queryable.ts";

/** Default values for a test's jobs. */
export interface SubmitDefaults {
  labTest?: string;
  os?: string;
  machine?: string;
  pool?: string;
  package?: string;
}

/** The error for a value that neither the request nor the test's submit defaults give. */
export function missing(path: string, what: string): HubError {
  return new HubError(
    "BAD_REQUEST",
    `A job requires ${what}. Pass it, or set it in the test's submit defaults.`,
    {
      issues: [{ path, message: "is missing, and the test has no default" }],
    },
  );
}

export interface ToRun {
  url: string;
  packageId: number | null;
  changelist: number | null;
}

/** Returns what each job of a request runs, in the order of its changelists. @throws HubError BAD_REQUEST, NOT_FOUND */
export async function whatToRun(
  tx: Queryable,
  input: JobInput,
  defaults: SubmitDefaults,
  roots: readonly string[],
): Promise<ToRun[]> {
  const name = input.package ?? (input.packageUrl === undefined ? defaults.package : undefined);
  if (input.packageUrl !== undefined) {
    const url = checkUnderRoot(input.packageUrl, roots);
    const [row] = name === undefined
      ? []
      : await tx<{ id: number }[]>`select id from packages where name = ${name}`;
    return [{ url, packageId: row?.id ?? null, changelist: input.changelist ?? null }];
  }
  if (name === undefined) throw missing("package", "a package, or a packageUrl");
  if (input.changelists !== undefined) return await eachBuild(tx, name, input.changelists);
  if (input.changelist === undefined) throw missing("changelist", "a changelist, or a packageUrl");
  const build = await getBuildFor(tx, name, input.changelist);
  return [{ url: build.location, packageId: build.packageId, changelist: input.changelist }];
}

/**
 * Finds the build at each changelist.
 * @throws HubError NOT_FOUND with an issue for each changelist that has no available build
 */
async function eachBuild(tx: Queryable, name: string, changelists: number[]): Promise<ToRun[]> {
  const { packageId, locations } = await findBuildsFor(tx, name, changelists);
  const lacking = changelists.flatMap((changelist, at) =>
    locations.has(changelist)
      ? []
      : [{ path: `changelists.${at}`, message: `has no available build at ${changelist}` }]
  );
  if (lacking.length > 0) {
    throw new HubError(
      "NOT_FOUND",
      `The package ${name} has no available build at ${lacking.length} of ${changelists.length} changelists, so no job was made.`,
      { issues: lacking },
    );
  }
  return changelists.map((changelist) => ({ url: locations.get(changelist)!, packageId, changelist }));
}

/** Normalises a package URL. @throws HubError BAD_REQUEST if it is not under one of the roots */
export function checkUnderRoot(packageUrl: string, roots: readonly string[]): string {
  const bases = roots.map((root) =>
    new URL(root.replace(/^(?:index|s3|gcs)\+/, "").replace(/(?<!\/)\/*$/, "/")).href
  );
  if (URL.canParse(packageUrl)) {
    const url = new URL(packageUrl);
    const isPlain = url.username === "" && url.search === "" && url.hash === "" &&
      !/%(?:2f|5c|00|2e)|\\/i.test(url.pathname);
    if (isPlain && bases.some((base) => url.href.startsWith(base) && url.href.length > base.length)) {
      return url.href;
    }
  }
  throw new HubError(
    "BAD_REQUEST",
    `The package URL ${JSON.stringify(packageUrl)} is not under a root of the drop (${
      bases.join(", ")
    }). DROP_URLS lists the roots.`,
    { issues: [{ path: "packageUrl", message: "must be under a drop root" }] },
  );
}
