import { z } from "zod";
import { id, nameOf, nullableTime, pageInput, pageOf, text, time } from "./common.ts";

const SCOPES = ["read", "submit", "ingest", "triage", "admin"] as const;
export type Scope = (typeof SCOPES)[number];
const role = z.enum(["viewer", "submitter", "ingester", "triager", "admin"]);

export const loginInput = z.object({
  name: text(128).meta({ description: "As the directory has it; `admin` where there is none" }),
  password: z.string().max(1024).meta({
    format: "password",
    description: "Of the directory; the admin token where there is none",
  }),
});

/** Who is asking. */
export const me = z.object({
  name: z.string().nullable().meta({ description: "null where nobody is signed in" }),
  roles: z.array(role),
  via: z.string().nullable().meta({ description: "`session`, `token <id>` or `admin token`" }),
  scopes: z.array(z.enum(SCOPES)).nullable().meta({
    description: "Of the token that asks; null where none does",
  }),
  expiresAt: nullableTime.meta({ description: "Of the session or token" }),
});
export type Me = z.infer<typeof me>;

export const logoutInput = z.object({
  everywhere: z.boolean().default(false).meta({ description: "End all of one's sessions" }),
});

const DAY_MS = 86_400_000;
export const tokenInput = z.object({
  name: nameOf(100).meta({ description: "What it is for" }),
  scopes: z.array(z.enum(SCOPES)).min(1).max(SCOPES.length),
  expiresInMs: z.coerce.number().int().min(60_000).max(366 * DAY_MS).default(90 * DAY_MS),
});

export const tokenShape = z.object({
  id,
  name: z.string(),
  person: z.string(),
  scopes: z.array(z.enum(SCOPES)),
  hint: z.string().meta({ description: "Its last characters" }),
  createdAt: time,
  expiresAt: time,
  lastUsedAt: nullableTime,
  revokedAt: nullableTime,
});
export type TokenShape = z.infer<typeof tokenShape>;
export const madeToken = tokenShape.extend({
  token: z.string().meta({ description: "Shown this once, and stored nowhere" }),
});
export const tokenList = z.object({
  person: text(200).optional().meta({ description: "Whose, for admins; one's own unless told" }),
  ...pageInput,
});
export const tokenPage = pageOf(tokenShape);
export const tokenId = z.object({ id });
