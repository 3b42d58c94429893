export const PACKAGE_BUILDS = ["Release", "Debug", "Develop", "Assert", "Retail"] as const;
export type PackageBuild = (typeof PACKAGE_BUILDS)[number];

/** A parsed package name. If it does not parse, all fields but `name` are null. */
export interface PackageName {
  name: string;
  branch: string | null;
  build: PackageBuild | null;
  rest: string | null;
}

/** Parses `<branch>_<build>_<rest>`, split at the first build word with text on both sides. */
export function parsePackage(name: string): PackageName {
  const parts = name.split("_");
  const at = parts.findIndex((part, index) =>
    index > 0 && index < parts.length - 1 && (PACKAGE_BUILDS as readonly string[]).includes(part)
  );
  const branch = parts.slice(0, Math.max(at, 0)).join("_");
  const rest = parts.slice(at + 1).join("_");
  if (at < 1 || branch === "" || rest === "") return { name, branch: null, build: null, rest: null };
  return { name, branch, build: parts[at] as PackageBuild, rest };
}
