/** Who may call a procedure. `anyone` needs no sign-in; `admin` may do everything. */
export const ROLES = ["anyone", "viewer", "submitter", "ingester", "triager", "admin"] as const;
export type Role = (typeof ROLES)[number];

/** Someone known to the hub. */
export interface Identity {
  name: string;
  roles: readonly Role[];
}

export function mayAct(identity: Identity | null, role: Role): boolean {
  if (role === "anyone") return true;
  if (identity === null) return false;
  return role === "viewer" || identity.roles.includes("admin") || identity.roles.includes(role);
}
