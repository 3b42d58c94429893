import { z } from "zod";
import { id, nameOf, nullableTime, pageInput, pageOf, text, time } from "./common.ts";

const SCOPES = ["read", "submit", "ingest", "triage", "admin"] as const;
export type Scope = (typeof SCOPES)[number];
const role = z.enum(["viewer", "submitter", "ingester", "triager", "admin"]);

export const loginInput = z.object({
  name: text(128).meta({ description: "User name in LDAP; `admin` if LDAP is not configured" }),
  password: z.string().max(1024).meta({
    format: "password",
    description: "LDAP password; the admin token if LDAP is not configured",
  }),
});

/** The caller of a request. */
export const me = z.object({
  name: z.string().nullable().meta({ description: "null for an anonymous caller" }),
  roles: z.array(role),
  via: z.string().nullable().meta({ description: "`session`, `token <id>` or `admin token`" }),
  scopes: z.array(z.enum(SCOPES)).nullable().meta({
    description: "Scopes of the caller's token; null for callers without a token",
  }),
  expiresAt: nullableTime.meta({ description: "Expiry of the session or token" }),
});
export type Me = z.infer<typeof me>;

export const logoutInput = z.object({
  everywhere: z.boolean().default(false).meta({ description: "End all of the caller's sessions" }),
});

const DAY_MS = 86_400_000;
export const tokenInput = z.object({
  name: nameOf(100).meta({ description: "Purpose of the token" }),
  scopes: z.array(z.enum(SCOPES)).min(1).max(SCOPES.length),
  expiresInMs: z.coerce.number().int().min(60_000).max(366 * DAY_MS).default(90 * DAY_MS),
});

export const tokenShape = z.object({
  id,
  name: z.string(),
  person: z.string(),
  scopes: z.array(z.enum(SCOPES)),
  hint: z.string().meta({ description: "Last characters of the token" }),
  createdAt: time,
  expiresAt: time,
  lastUsedAt: nullableTime,
  revokedAt: nullableTime,
});
export type TokenShape = z.infer<typeof tokenShape>;
export const createdToken = tokenShape.extend({
  token: z.string().meta({ description: "The token in clear text; returned only once, and not stored" }),
});
export const tokenList = z.object({
  person: text(200).optional().meta({
    description: "Owner of the tokens (default: the caller); others are for admins only",
  }),
  ...pageInput,
});
export const tokenPage = pageOf(tokenShape);
export const tokenId = z.object({ id });
