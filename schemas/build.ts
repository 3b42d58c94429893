import { z } from "zod";
import {
  changelist,
  changelistInput,
  flag,
  listOf,
  MAX_CHANGELIST,
  nullableTime,
  pageInput,
  pageOf,
  time,
} from "./common.ts";
import { packageName } from "./package.ts";

const build = z.object({
  package: z.string(),
  changelist,
  revision: z.number().int().meta({ description: "The `.n` after the changelist; 0 if absent" }),
  file: z.string().meta({ description: "File name in the package's folder" }),
  location: z.string().meta({ description: "Download URL" }),
  root: z.string().meta({ description: "Name of the drop root that contains it" }),
  size: z.number().int().nullable().meta({
    description: "Bytes; null if the drop's listing has no size",
  }),
  firstSeen: time,
  lastSeen: time,
  goneAt: nullableTime,
  available: z.boolean().meta({
    description: "Whether the build is not gone and its root is still configured",
  }),
});
export type Build = z.infer<typeof build>;

/** A changelist of a package: its best build (available builds first, then the newest revision) and its number of builds. */
const changelistItem = build.extend({
  builds: z.number().int().meta({ description: "Number of builds of the package at the changelist" }),
});

const range = {
  from: changelistInput.optional().meta({ description: "Lowest changelist" }),
  to: changelistInput.optional().meta({ description: "Highest changelist" }),
};

export const changelistList = z.object({
  name: packageName,
  ...range,
  available: flag.optional().meta({
    description: "true: only changelists with an available build; false: only those without",
  }),
  order: z.enum(["asc", "desc"]).default("desc").meta({ description: "Order by changelist" }),
  ...pageInput,
});
export type ChangelistList = z.infer<typeof changelistList>;
export const changelistPage = pageOf(changelistItem);
export type ChangelistPage = z.infer<typeof changelistPage>;

export const changelistPath = z.object({ name: packageName, changelist: changelistInput });
/** Maximum number of builds returned per changelist. */
export const MAX_BUILDS_SHOWN = 1000;
export const changelistDetail = z.object({
  package: z.string(),
  changelist,
  available: z.boolean(),
  builds: z.array(build).max(MAX_BUILDS_SHOWN),
});
export type ChangelistDetail = z.infer<typeof changelistDetail>;

const DIRECTIONS = ["before", "after", "either"] as const;
export const nearestQuery = z.object({
  name: packageName,
  changelist: changelistInput,
  direction: z.enum(DIRECTIONS).default("either").meta({
    description:
      "`before`: at or before; `after`: at or after; `either`: the closest, or the older of two equally close builds",
  }),
});
export type NearestQuery = z.infer<typeof nearestQuery>;
export const nearestBuild = build.extend({
  distance: z.number().int().min(0).max(MAX_CHANGELIST).meta({
    description: "Distance in changelist numbers from the requested changelist",
  }),
});
export type NearestBuild = z.infer<typeof nearestBuild>;

export const commonQuery = z.object({
  packages: listOf(packageName, 50).meta({ description: "Package names, separated by commas" }),
  ...range,
  ...pageInput,
});
export type CommonQuery = z.infer<typeof commonQuery>;
export const commonPage = pageOf(z.object({ changelist })).meta({
  description:
    "A page may contain fewer than `limit` items, or none, and still have a `nextCursor`: each request reads a limited number of builds",
});
export type CommonPage = z.infer<typeof commonPage>;
