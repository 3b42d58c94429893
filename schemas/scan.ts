import { z } from "zod";
import { flag, id, nullableTime, pageInput, pageOf, time } from "./common.ts";

const SCAN_STATES = ["running", "done", "failed", "lost"] as const;
const scanState = z.enum(SCAN_STATES);

/** Maximum number of places listed in `unparsed`, and in `unread`. */
export const MAX_PLACES = 100;
const placeReason = z.object({ place: z.string(), reason: z.string() });
export type PlaceReason = z.infer<typeof placeReason>;

const count = z.number().int();

const scan = z.object({
  id,
  root: z.string().nullable().meta({
    description: "Name of the drop root; null for a scan that ended before it read a root",
  }),
  url: z.string().nullable(),
  state: scanState,
  cause: z.string().meta({ description: "`schedule`, `request` or `missed`" }),
  full: z.boolean().meta({ description: "Whether unchanged packages were read too" }),
  startedAt: time,
  updatedAt: time.meta({ description: "Time of the last update of the counts" }),
  finishedAt: nullableTime,
  durationMs: z.number().int().meta({ description: "Duration so far for a running scan" }),
  packagesSeen: count,
  packagesUnchanged: count.meta({
    description: "Not read because their folder's modification mark is unchanged",
  }),
  packagesUnread: count,
  buildsSeen: count.meta({ description: "Builds in the listings that were read" }),
  buildsAdded: count,
  buildsGone: count,
  buildsBack: count.meta({ description: "Builds that were gone and reappeared" }),
  unparsedCount: count,
  error: z.string().nullable().meta({ description: "Only for signed-in users" }),
});
export type Scan = z.infer<typeof scan>;

export const scanDetail = scan.extend({
  unparsed: z.array(placeReason).meta({
    description: `The first ${MAX_PLACES} entries that are neither a package nor a build`,
  }),
  unread: z.array(placeReason).meta({
    description: `The first ${MAX_PLACES} packages that could not be read; reasons only for signed-in users`,
  }),
});
export type ScanDetail = z.infer<typeof scanDetail>;

export const scanList = z.object({ state: scanState.optional(), ...pageInput });
export type ScanList = z.infer<typeof scanList>;
export const scanPage = pageOf(scan);

export const scanRequest = z.object({
  full: flag.default(false).meta({ description: "Read unchanged packages too" }),
});
export const scanEnqueued = z.object({
  enqueued: z.boolean().meta({ description: "false if a scan was already queued" }),
  message: z.string(),
});
