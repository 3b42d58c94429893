import { z } from "zod";
import { flag, id, nullableTime, pageInput, pageOf, time } from "./common.ts";

const SCAN_STATES = ["running", "done", "failed", "lost"] as const;
const scanState = z.enum(SCAN_STATES);

/** Most places listed of what did not parse, and of what could not be read. */
export const MAX_PLACES = 100;
const placeReason = z.object({ place: z.string(), reason: z.string() });
export type PlaceReason = z.infer<typeof placeReason>;

const count = z.number().int();

const scan = z.object({
  id,
  root: z.string().nullable().meta({
    description: "Name of the drop root; null for a scan that ended before it read one",
  }),
  url: z.string().nullable(),
  state: scanState,
  cause: z.string().meta({ description: "schedule, request or missed" }),
  full: z.boolean().meta({ description: "Whether every package was read, changed or not" }),
  startedAt: time,
  updatedAt: time.meta({ description: "Of the counts, while it runs" }),
  finishedAt: nullableTime,
  durationMs: z.number().int().meta({ description: "So far, while it runs" }),
  packagesSeen: count,
  packagesUnchanged: count.meta({ description: "Taken as they were, by their folder's mark" }),
  packagesUnread: count,
  buildsSeen: count.meta({ description: "In the listings that were read" }),
  buildsAdded: count,
  buildsGone: count,
  buildsBack: count.meta({ description: "Were gone and are there again" }),
  unparsedCount: count,
  error: z.string().nullable().meta({ description: "For the signed-in" }),
});
export type Scan = z.infer<typeof scan>;

export const scanDetail = scan.extend({
  unparsed: z.array(placeReason).meta({
    description: `The first ${MAX_PLACES} entries that are neither package nor build`,
  }),
  unread: z.array(placeReason).meta({
    description: `The first ${MAX_PLACES} packages that could not be read; reasons for the signed-in`,
  }),
});
export type ScanDetail = z.infer<typeof scanDetail>;

export const scanList = z.object({ state: scanState.optional(), ...pageInput });
export type ScanList = z.infer<typeof scanList>;
export const scanPage = pageOf(scan);

export const scanRequest = z.object({
  full: flag.default(false).meta({ description: "Read every package, changed or not" }),
});
export const scanEnqueued = z.object({
  enqueued: z.boolean().meta({ description: "false where a scan was waiting already" }),
  message: z.string(),
});
