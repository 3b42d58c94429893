import type { Scope } from "../schemas/auth.ts";

/** Roles that a procedure can require. `anyone` requires no sign-in; `admin` may do everything. */
const ROLES = ["anyone", "viewer", "submitter", "ingester", "triager", "admin"] as const;
export type Role = (typeof ROLES)[number];
export type GrantedRole = Exclude<Role, "anyone">;

/** The scope that a token must have in addition to its owner's role. */
const SCOPE_OF: Record<GrantedRole, Scope> = {
  viewer: "read",
  submitter: "submit",
  ingester: "ingest",
  triager: "triage",
  admin: "admin",
};

/** An authenticated caller. */
export interface Identity {
  name: string;
  roles: readonly GrantedRole[];
  /** `session`, `token <id>` or `admin token`. */
  via: string;
  /** Scopes of the token; null without a token. */
  scopes: readonly Scope[] | null;
  /** Expiry of the session or token. */
  expiresAt: Date | null;
  /** Hash of the session id, for a session. */
  sessionHash: Uint8Array | undefined;
  /** Whether a due recheck failed because the directory was unreachable: the caller may read, but not write. */
  isStale: boolean;
}

/** Whether the caller's roles, and the token's scopes if any, allow what requires this role. */
export function mayAct(identity: Identity | null, role: Role): boolean {
  if (role === "anyone") return true;
  if (identity === null) return false;
  const { roles, scopes } = identity;
  const isInScope = scopes === null || scopes.includes(SCOPE_OF[role]) ||
    scopes.includes("admin") && roles.includes("admin");
  return isInScope && (role === "viewer" || roles.includes("admin") || roles.includes(role));
}

/** The roles of a member of these groups; everyone who signs in is a viewer. */
export function rolesOf(
  groups: readonly string[],
  mapping: readonly { role: GrantedRole; group: string }[],
): GrantedRole[] {
  const own = new Set(groups.map(plain));
  const roles = mapping.filter(({ group }) => own.has(plain(group))).map(({ role }) => role);
  return ["viewer", ...new Set(roles)];
}

/** Normalizes a DN: case and spaces around separators do not matter. */
function plain(group: string): string {
  return group.toLowerCase().split(/([,=+])/).map((part) => part.trim()).join("");
}
