import { addBuilds, type BuildColumns, mergeBuilds } from "../../db/drop/build_store.ts";
import type { Db } from "../../db/core/queryable.ts";
import { configureRoots, ensurePackages } from "../../db/drop/drop_roots.ts";
import { recordReadings } from "../../db/drop/package_readings.ts";

/** Columns of builds `SW_<CL>[.<n>]_<package>.tgz`. */
export function columnsOf(
  packageId: number,
  name: string,
  changelists: number[],
  revision = 0,
): BuildColumns {
  return {
    packageIds: changelists.map(() => packageId),
    changelists,
    revisions: changelists.map(() => revision),
    files: changelists.map((each) => `SW_${each}${revision === 0 ? "" : `.${revision}`}_${name}.tgz`),
    sizes: changelists.map(() => null),
  };
}

/** A drop in database rows, without a tree: roots `root0`, `root1`… whose builds a test adds and removes. */
export async function dropOf(sql: Db, urls: string[]) {
  const named = urls.map((url, at) => ({ url, name: `root${at}` }));
  const roots = await configureRoots(sql, named);
  const ids = new Map<string, number>();
  const readAt = new Date("2024-05-01T03:00:00Z");
  const builds = new Map<string, number[]>();
  return {
    roots,
    readAt,
    packageId: (name: string) => ids.get(name)!,
    async add(root: number, name: string, changelists: number[], { revision = 0 } = {}): Promise<void> {
      const [branch, build] = name.split("_");
      const made = await ensurePackages(
        sql,
        [{ name, branch: build === undefined ? null : branch!, build: build ?? null }],
        readAt,
      );
      const id = made.get(name)!;
      ids.set(name, id);
      builds.set(`${root} ${name}`, [...builds.get(`${root} ${name}`) ?? [], ...changelists]);
      const found = columnsOf(id, name, changelists, revision);
      await sql.begin((tx) => addBuilds(tx, roots[root]!.id, found, { seenAt: readAt }));
      await recordReadings(sql, roots[root]!.id, { packageIds: [id], marks: [null] }, readAt);
    },
    /** As if a scan a day later had not found them. */
    async gone(root: number, name: string, changelists: number[]): Promise<void> {
      const id = ids.get(name)!;
      const left = builds.get(`${root} ${name}`)!.filter((each) => !changelists.includes(each));
      const found = columnsOf(id, name, left);
      const others = await sql<{ changelist: number; revision: number; file: string }[]>`
        select changelist, revision, file from builds
        where root_id = ${roots[root]!.id} and package_id = ${id} and revision > 0`;
      for (const other of others) {
        found.packageIds.push(id);
        found.changelists.push(other.changelist);
        found.revisions.push(other.revision);
        found.files.push(other.file);
        found.sizes.push(null);
      }
      const later = new Date(readAt.getTime() + 86_400_000);
      await sql.begin((tx) =>
        mergeBuilds(tx, roots[root]!.id, { found, completeIds: [id] }, { seenAt: later })
      );
    },
    /** As if DROP_URLS no longer contained the root. */
    async unconfigure(root: number): Promise<void> {
      await configureRoots(sql, named.filter((_, at) => at !== root));
    },
  };
}
