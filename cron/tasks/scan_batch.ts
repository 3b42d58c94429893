import {
  addBuilds,
  type BuildChanges,
  type BuildColumns,
  markUnseenGone,
  mergeBuilds,
  recordSeen,
} from "../../db/drop/build_store.ts";
import type { Queryable } from "../../db/core/queryable.ts";
import { ensurePackages } from "../../db/drop/drop_roots.ts";
import {
  beginReadings,
  recordReadings,
  recordUnchanged,
  recordUnread,
} from "../../db/drop/package_readings.ts";
import type { PackageName } from "../../scrapers/binarydrop/names.ts";
import type { BuildEntry } from "../../scrapers/binarydrop/source.ts";

/** A package in a scan. The id is undefined until its first batch is written. */
export interface ScannedPackage {
  name: PackageName;
  id: number | undefined;
  /** Whether no build of it can be stored under this root yet: then no comparison is required. */
  isNew: boolean;
  /** Number of builds recorded by earlier batches; undefined if the package fits one batch. */
  noted: number | undefined;
}

/** The part of a package in a batch. */
export interface PackagePart {
  package: ScannedPackage;
  builds: BuildEntry[];
  /** Whether earlier batches have builds of it. */
  isContinued: boolean;
  /** `more`: continues in a later batch; `end`: a complete listing; `unread`: an incomplete one. */
  ending: { kind: "more" } | { kind: "end"; mark: string | null } | { kind: "unread"; reason: string };
}

/** The content of one transaction. */
export interface Batch {
  parts: PackagePart[];
  /** Ids of packages that are unchanged according to their marks. */
  unchanged: number[];
}

/**
 * Writes a batch of a scan of `rootId` that started at `readAt`, in a constant number of statements. If a listing names a
 * build twice (see `isRepeat`), pass `carefully`.
 */
export async function writeBatch(
  tx: Queryable,
  rootId: number,
  { batch, carefully, onSending }: { batch: Batch; carefully: boolean; onSending(): void },
  readAt: Date,
): Promise<BuildChanges> {
  const options = { seenAt: readAt, onSending };
  const changes: BuildChanges = { added: 0, gone: 0, back: 0 };
  await setIds(tx, batch.parts.map((part) => part.package), readAt);
  const add = (more: Partial<BuildChanges>) => {
    changes.added += more.added ?? 0;
    changes.gone += more.gone ?? 0;
    changes.back += more.back ?? 0;
  };

  const fresh = batch.parts.filter((part) => part.package.isNew);
  if (fresh.length > 0) {
    const begun = fresh.filter((part) => part.ending.kind === "more").map((part) => idOf(part.package));
    if (begun.length > 0) await beginReadings(tx, rootId, begun);
    const found = toColumns(fresh);
    add(
      carefully
        ? await mergeBuilds(tx, rootId, { found, completeIds: [] }, options)
        : { added: await addBuilds(tx, rootId, found, options) },
    );
  }

  const known = batch.parts.filter((part) => !part.package.isNew);
  if (known.length > 0) {
    const whole = known.filter((part) => part.ending.kind === "end" && part.package.noted === undefined);
    const completeIds = whole.map((part) => idOf(part.package));
    add(await mergeBuilds(tx, rootId, { found: toColumns(known), completeIds }, options));
    const split = known.filter((part) => part.ending.kind === "more" || part.package.noted !== undefined);
    for (const { package: owner, builds, ending } of split) {
      await recordSeen(tx, rootId, toColumns([{ package: owner, builds }]));
      const expected = (owner.noted ?? 0) + builds.length;
      if (ending.kind === "end") {
        add({ gone: await markUnseenGone(tx, rootId, { packageId: idOf(owner), expected }, readAt) });
      }
    }
  }

  const packageIds: number[] = [];
  const marks: (string | null)[] = [];
  const unreadIds: number[] = [];
  const reasons: string[] = [];
  for (const { package: owner, ending } of batch.parts) {
    if (ending.kind === "end") {
      packageIds.push(idOf(owner));
      marks.push(ending.mark);
    } else if (ending.kind === "unread") {
      unreadIds.push(idOf(owner));
      reasons.push(ending.reason);
    }
  }
  if (packageIds.length > 0) await recordReadings(tx, rootId, { packageIds, marks }, readAt);
  if (unreadIds.length > 0) await recordUnread(tx, rootId, { packageIds: unreadIds, reasons });
  if (batch.unchanged.length > 0) await recordUnchanged(tx, rootId, batch.unchanged, readAt);
  return changes;
}

async function setIds(tx: Queryable, packages: ScannedPackage[], seenAt: Date): Promise<void> {
  const unknown = packages.filter((each) => each.id === undefined);
  if (unknown.length === 0) return;
  const ids = await ensurePackages(tx, unknown.map((each) => each.name), seenAt);
  for (const each of unknown) each.id = ids.get(each.name.name);
}

function idOf({ id, name }: ScannedPackage): number {
  if (id === undefined) throw new Error(`The package ${name.name} has no id.`);
  return id;
}

function toColumns(parts: Pick<PackagePart, "package" | "builds">[]): BuildColumns {
  const columns: BuildColumns = { packageIds: [], changelists: [], revisions: [], files: [], sizes: [] };
  for (const part of parts) {
    const id = idOf(part.package);
    for (const build of part.builds) {
      columns.packageIds.push(id);
      columns.changelists.push(build.changelist);
      columns.revisions.push(build.revision);
      columns.files.push(build.file);
      columns.sizes.push(build.size);
    }
  }
  return columns;
}
