import { z } from "zod";
import { audited } from "../db/access/audit.ts";
import { listCommon } from "../db/drop/common_builds.ts";
import { listChangelists } from "../db/drop/build_list.ts";
import { getChangelist, getNearest } from "../db/drop/builds.ts";
import { getPackage, listPackages, setPackageScanned } from "../db/drop/packages.ts";
import { getScan, listScans } from "../db/drop/scans.ts";
import {
  changelistDetail,
  changelistList,
  changelistPage,
  changelistPath,
  commonPage,
  commonQuery,
  nearestBuild,
  nearestQuery,
} from "../schemas/build.ts";
import { id } from "../schemas/common.ts";
import { packageDetail, packageList, packageName, packagePage, packagePatch } from "../schemas/package.ts";
import { scanDetail, scanEnqueued, scanList, scanPage, scanRequest } from "../schemas/scan.ts";
import { authorOf, type Context, maySeeSecrets } from "./context.ts";
import { procedure, router } from "./trpc.ts";
import { readList } from "./read_list.ts";
import { outputSchema } from "./output_schema.ts";

/** Packages and builds of the binary drop. */
export const dvsRouter = router({
  packages: procedure
    .meta({ method: "GET", path: "/api/dvs/packages", summary: "List packages by name", role: "anyone" })
    .input(packageList)
    .output(outputSchema(packagePage))
    .query(({ ctx, input }) => listPackages(ctx.sql, input)),

  package: procedure
    .meta({
      method: "GET",
      path: "/api/dvs/packages/{name}",
      summary: "Get a package: its newest and oldest changelist, number of builds, and last scans",
      role: "anyone",
    })
    .input(z.object({ name: packageName }))
    .output(outputSchema(packageDetail))
    .query(({ ctx, input }) => getPackage(ctx.sql, input.name, mayShow(ctx))),

  patchPackage: procedure
    .meta({
      method: "PATCH",
      path: "/api/dvs/packages/{name}",
      summary: "Set whether scans read a package",
      role: "admin",
    })
    .input(packagePatch)
    .output(outputSchema(packageDetail))
    .mutation(async ({ ctx, input }) => {
      await setPackageScanned(ctx.sql, input, authorOf(ctx));
      return await getPackage(ctx.sql, input.name, mayShow(ctx));
    }),

  changelists: procedure
    .meta({
      method: "GET",
      path: "/api/dvs/packages/{name}/changelists",
      summary: "List the changelists of a package, each with its best build",
      role: "anyone",
    })
    .input(changelistList)
    .output(outputSchema(changelistPage))
    .query(({ ctx, input }) =>
      readList(ctx, {
        list: "changelists",
        input,
        askVersion: () => ctx.versions.builds(),
        read: () => listChangelists(ctx.sql, input),
      })
    ),

  changelist: procedure
    .meta({
      method: "GET",
      path: "/api/dvs/packages/{name}/changelists/{changelist}",
      summary: "List every build of a package at a changelist",
      role: "anyone",
    })
    .input(changelistPath)
    .output(outputSchema(changelistDetail))
    .query(({ ctx, input }) => getChangelist(ctx.sql, input)),

  nearest: procedure
    .meta({
      method: "GET",
      path: "/api/dvs/packages/{name}/nearest",
      summary: "Find the available build nearest to a changelist",
      role: "anyone",
    })
    .input(nearestQuery)
    .output(outputSchema(nearestBuild))
    .query(({ ctx, input }) => getNearest(ctx.sql, input)),

  common: procedure
    .meta({
      method: "GET",
      path: "/api/dvs/common",
      summary: "List changelists, ascending, at which all given packages have an available build",
      role: "anyone",
    })
    .input(commonQuery)
    .output(outputSchema(commonPage))
    .query(({ ctx, input }) => listCommon(ctx.sql, input)),

  scans: procedure
    .meta({
      method: "GET",
      path: "/api/dvs/scans",
      summary: "List scans of the drop, newest first",
      role: "anyone",
    })
    .input(scanList)
    .output(outputSchema(scanPage))
    .query(({ ctx, input }) => listScans(ctx.sql, input, mayShow(ctx))),

  scan: procedure
    .meta({
      method: "GET",
      path: "/api/dvs/scans/{id}",
      summary: "Get a scan, with the entries that did not parse and the packages that could not be read",
      role: "anyone",
    })
    .input(z.object({ id }))
    .output(outputSchema(scanDetail))
    .query(({ ctx, input }) => getScan(ctx.sql, input.id, mayShow(ctx))),

  startScan: procedure
    .meta({
      method: "POST",
      path: "/api/dvs/scans",
      summary: "Enqueue a scan of every drop root",
      role: "admin",
      statuses: [202],
    })
    .input(scanRequest)
    .output(outputSchema(scanEnqueued))
    .mutation(async ({ ctx, input }) => {
      // Separate keys, so that a queued plain scan does not absorb a full one.
      const singletonKey = input.full ? "scan:full" : "scan";
      const enqueued = await audited(
        ctx.sql,
        authorOf(ctx),
        { action: "scan.request", object: "drop", after: { full: input.full } },
        (tx) => ctx.queue.send("scan_drop", { full: input.full, cause: "request" }, { singletonKey, tx }),
      );
      ctx.reply.status = 202;
      return {
        enqueued,
        message: enqueued
          ? "A scan is enqueued; /api/dvs/scans shows its progress."
          : "A scan was already queued; /api/dvs/scans shows its progress.",
      };
    }),
});

function mayShow(ctx: Context): { showReasons: boolean } {
  return { showReasons: maySeeSecrets(ctx) };
}
