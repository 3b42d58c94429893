import { z } from "zod";
import { changelist, flag, id, nullableTime, pageInput, pageOf, text, time } from "./common.ts";
import { PACKAGE_BUILDS } from "./package_name.ts";

/** A package's name as it is asked for. Stored names are whatever the drop holds. */
export const packageName = text(1000).meta({ description: "Name of the package" });
const nullableChangelist = changelist.nullable();

const dropPackage = z.object({
  name: z.string(),
  branch: z.string().nullable().meta({ description: "null where the name does not parse" }),
  build: z.string().nullable().meta({
    description: `${PACKAGE_BUILDS.join(", ")}; null where the name does not parse`,
  }),
  scanned: z.boolean().meta({ description: "Whether scans read it for builds" }),
  firstSeen: time,
  newest: nullableChangelist.meta({ description: "Newest changelist with an available build" }),
  oldest: nullableChangelist.meta({ description: "Oldest changelist with an available build" }),
});
export type DropPackage = z.infer<typeof dropPackage>;

export const packageDetail = dropPackage.extend({
  builds: z.number().int().meta({ description: "Builds known, gone ones among them" }),
  available: z.number().int().meta({ description: "Builds that can be fetched now" }),
  gone: z.number().int(),
  readings: z.array(z.object({
    root: z.string(),
    rootId: id,
    readAt: nullableTime.meta({ description: "Last complete reading" }),
    fullAt: nullableTime.meta({ description: "Last reading that did not rely on the folder's mark" }),
    unread: z.boolean().meta({ description: "Whether the last reading failed" }),
    unreadReason: z.string().nullable().meta({ description: "Why; for the signed-in" }),
  })).meta({ description: "What the last scans found, by root" }),
});
export type PackageDetail = z.infer<typeof packageDetail>;

export const packageList = z.object({
  search: text(300).optional().meta({ description: "Part of the name, in any case" }),
  branch: text(300).optional(),
  build: z.enum(PACKAGE_BUILDS).optional(),
  scanned: flag.optional(),
  ...pageInput,
});
export type PackageList = z.infer<typeof packageList>;
export const packagePage = pageOf(dropPackage);

export const packagePatch = z.object({ name: packageName, scanned: flag });
