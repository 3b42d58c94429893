import type { Scope } from "../schemas/auth.ts";

/** Who may call a procedure. `anyone` needs no sign-in; `admin` may do everything. */
const ROLES = ["anyone", "viewer", "submitter", "ingester", "triager", "admin"] as const;
export type Role = (typeof ROLES)[number];
export type HeldRole = Exclude<Role, "anyone">;

/** The scope that a token must have besides its owner's role. */
const SCOPE_OF: Record<HeldRole, Scope> = {
  viewer: "read",
  submitter: "submit",
  ingester: "ingest",
  triager: "triage",
  admin: "admin",
};

/** Someone known to the hub. */
export interface Identity {
  name: string;
  roles: readonly HeldRole[];
  /** `session`, `token <id>` or `admin token`. */
  via: string;
  /** Of the token; null where none limits it. */
  scopes: readonly Scope[] | null;
  /** Of the session or token. */
  expiresAt: Date | null;
  /** Of the session, where there is one. */
  sessionHash: Uint8Array | undefined;
  /** Whether the directory could not be asked again when it was time: such a one may read, and not write. */
  isStale: boolean;
}

/** Whether someone may do what wants this role: by their roles, and by the token's scopes. */
export function mayAct(identity: Identity | null, role: Role): boolean {
  if (role === "anyone") return true;
  if (identity === null) return false;
  const { roles, scopes } = identity;
  const isInScope = scopes === null || scopes.includes(SCOPE_OF[role]) ||
    scopes.includes("admin") && roles.includes("admin");
  return isInScope && (role === "viewer" || roles.includes("admin") || roles.includes(role));
}

/** Roles of someone in these groups; whoever signs in is a viewer. */
export function rolesOf(
  groups: readonly string[],
  mapping: readonly { role: HeldRole; group: string }[],
): HeldRole[] {
  const held = new Set(groups.map(plain));
  const roles = mapping.filter(({ group }) => held.has(plain(group))).map(({ role }) => role);
  return ["viewer", ...new Set(roles)];
}

/** DNs are equal whatever their case and the spaces around their commas. */
function plain(group: string): string {
  return group.toLowerCase().split(/([,=+])/).map((part) => part.trim()).join("");
}
