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
  revision: z.number().int().meta({ description: "The .n behind the changelist; 0 without one" }),
  file: z.string().meta({ description: "Its name in the package's folder" }),
  location: z.string().meta({ description: "URL to fetch it from" }),
  root: z.string().meta({ description: "Name of the drop root it lies in" }),
  size: z.number().int().nullable().meta({
    description: "Bytes; null where the source's listing does not tell",
  }),
  firstSeen: time,
  lastSeen: time,
  goneAt: nullableTime,
  available: z.boolean().meta({ description: "Not gone, and its root is still configured" }),
});
export type Build = z.infer<typeof build>;

/** A changelist of a package: its best build (an available one before others, then the newest revision) and how many there are. */
const changelistItem = build.extend({
  builds: z.number().int().meta({ description: "Builds of the package at the changelist" }),
});

const range = {
  from: changelistInput.optional().meta({ description: "Lowest changelist" }),
  to: changelistInput.optional().meta({ description: "Highest changelist" }),
};

export const changelistList = z.object({
  name: packageName,
  ...range,
  available: flag.optional().meta({
    description: "Only changelists with an available build, or only those without",
  }),
  order: z.enum(["asc", "desc"]).default("desc").meta({ description: "By changelist" }),
  ...pageInput,
});
export type ChangelistList = z.infer<typeof changelistList>;
export const changelistPage = pageOf(changelistItem);
export type ChangelistPage = z.infer<typeof changelistPage>;

export const changelistPath = z.object({ name: packageName, changelist: changelistInput });
/** Most builds shown of one changelist. */
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
      "`before`: at or before; `after`: at or after; `either`: the closer one, of two as close the older",
  }),
});
export type NearestQuery = z.infer<typeof nearestQuery>;
export const nearestBuild = build.extend({
  distance: z.number().int().min(0).max(MAX_CHANGELIST).meta({
    description: "Changelists between it and the one asked for",
  }),
});
export type NearestBuild = z.infer<typeof nearestBuild>;

export const commonQuery = z.object({
  packages: listOf(packageName, 50).meta({ description: "Names of packages, separated by commas" }),
  ...range,
  ...pageInput,
});
export type CommonQuery = z.infer<typeof commonQuery>;
export const commonPage = pageOf(z.object({ changelist })).meta({
  description:
    "A page may hold fewer than `limit` items, even none, and still have a next one: a request looks at so many builds only",
});
export type CommonPage = z.infer<typeof commonPage>;
