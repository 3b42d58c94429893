import { z } from "zod";
import { changelist, flag, id, nullableTime, pageInput, pageOf, text, time } from "./common.ts";
import { PACKAGE_BUILDS } from "./package_name.ts";

/** A package's name in a request. Stored names are the drop's folder names, unchecked. */
export const packageName = text(1000).meta({ description: "Name of the package" });
const nullableChangelist = changelist.nullable();

const dropPackage = z.object({
  name: z.string(),
  branch: z.string().nullable().meta({ description: "null if the name does not parse" }),
  build: z.string().nullable().meta({
    description: `${PACKAGE_BUILDS.join(", ")}; null if the name does not parse`,
  }),
  scanned: z.boolean().meta({ description: "Whether scans read the package" }),
  firstSeen: time,
  newest: nullableChangelist.meta({ description: "Newest changelist with an available build" }),
  oldest: nullableChangelist.meta({ description: "Oldest changelist with an available build" }),
});
export type DropPackage = z.infer<typeof dropPackage>;

export const packageDetail = dropPackage.extend({
  builds: z.number().int().meta({ description: "Number of known builds, gone ones included" }),
  available: z.number().int().meta({ description: "Number of builds available now" }),
  gone: z.number().int(),
  readings: z.array(z.object({
    root: z.string(),
    rootId: id,
    readAt: nullableTime.meta({ description: "Time of the last complete read" }),
    fullAt: nullableTime.meta({
      description: "Time of the last read that did not rely on the folder's modification mark",
    }),
    unread: z.boolean().meta({ description: "Whether the last read failed" }),
    unreadReason: z.string().nullable().meta({ description: "Why it failed; only for signed-in users" }),
  })).meta({ description: "State of the last scan, by drop root" }),
});
export type PackageDetail = z.infer<typeof packageDetail>;

export const packageList = z.object({
  search: text(300).optional().meta({ description: "Part of the name, case-insensitive" }),
  branch: text(300).optional(),
  build: z.enum(PACKAGE_BUILDS).optional(),
  scanned: flag.optional(),
  ...pageInput,
});
export type PackageList = z.infer<typeof packageList>;
export const packagePage = pageOf(dropPackage);

export const packagePatch = z.object({ name: packageName, scanned: flag });
