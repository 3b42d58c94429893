import type { Pattern } from "../../patterns.ts";

export { type PackageName, parsePackage } from "../../schemas/package_name.ts";

/** The build that a name in a package's folder denotes. */
export interface BuildName {
  changelist: number;
  /** The `.n` after the changelist; 0 without it. */
  revision: number;
}

export const EXTENSIONS = ["tgz", "tar.gz", "tar.xz", "zip", "run", "exe", "msi", "deb", "rpm"] as const;
const FILE = /^SW_(\d+)(?:\.(\d+))?_(.+)\.(tgz|tar\.gz|tar\.xz|zip|run|exe|msi|deb|rpm)$/s;
const FOLDER = /^(\d+)(?:\.(\d+))?$/;
const MAX = 2_147_483_647;
const MAX_NAME = 300;

/** Why the hub rejects a name; undefined for a valid name. */
export function nameFault(name: string): string | undefined {
  if (name.length === 0 || name.length > MAX_NAME) return `is empty or longer than ${MAX_NAME} characters`;
  if (/\p{Cc}/u.test(name)) return "contains control characters";
  if (/[/\\]/.test(name) || name === "." || name === "..") return "is a path, not a name";
  if (!name.isWellFormed() || name.includes("\uFFFD")) return "is not valid UTF-8";
  return undefined;
}

/** Parses the file name `SW_<CL>[.<n>]_<package>.<ext>`, or returns why it is no build. */
export function parseBuildFile(
  file: string,
  packageName: string,
  pattern?: Pattern,
): BuildName | { ignored: string } {
  const fault = nameFault(file);
  if (fault !== undefined) return { ignored: fault };
  if (pattern !== undefined) {
    const groups = pattern.groups(file);
    if (groups === undefined) return { ignored: "does not match DROP_PATTERN" };
    if (groups.package !== undefined && groups.package !== packageName) {
      return { ignored: "names another package" };
    }
    return numbers(groups.changelist, groups.revision);
  }
  const [, changelist, revision, name] = FILE.exec(file) ?? [];
  if (name === undefined) return { ignored: "is not SW_<changelist>[.<n>]_<package>.<extension>" };
  if (name !== packageName) return { ignored: "names another package" };
  return numbers(changelist, revision);
}

/** Parses the folder name `<CL>[.<n>]` in a package's folder, or returns why it is no build. */
export function parseBuildFolder(folder: string): BuildName | { ignored: string } {
  const fault = nameFault(folder);
  if (fault !== undefined) return { ignored: fault };
  const [whole, changelist, revision] = FOLDER.exec(folder) ?? [];
  return whole === undefined
    ? { ignored: "is a folder whose name is not a changelist" }
    : numbers(changelist, revision);
}

function numbers(
  changelist: string | undefined,
  revision: string | undefined,
): BuildName | { ignored: string } {
  const cl = Number(changelist);
  const n = revision === undefined ? 0 : Number(revision);
  if (!Number.isInteger(cl) || cl < 1 || cl > MAX) {
    return { ignored: `has a changelist that is not 1 to ${MAX}` };
  }
  if (changelist!.startsWith("0")) return { ignored: "has a changelist with a leading zero" };
  if (!Number.isInteger(n) || n < 0 || n > MAX) return { ignored: `has a revision that is not 0 to ${MAX}` };
  return { changelist: cl, revision: n };
}

/** The URL of a build: root, package and file joined. */
export function locationOf(root: string, packageName: string, file: string): string {
  return `${root}/${encodeURIComponent(packageName)}/${encodeURIComponent(file)}`;
}

/** The package and changelist in a build's URL, in either layout; undefined for any other URL. */
export function parseLocation(url: string): ({ package: string } & BuildName) | undefined {
  if (!URL.canParse(url)) return undefined;
  let parts: string[];
  try {
    parts = new URL(url).pathname.split("/").filter((part) => part !== "").map(decodeURIComponent);
  } catch {
    return undefined;
  }
  for (let at = parts.length - 1; at > 0; at--) {
    const name = parts[at - 1]!;
    for (const parsed of [parseBuildFile(parts[at]!, name), parseBuildFolder(parts[at]!)]) {
      if ("changelist" in parsed) return { package: name, ...parsed };
    }
  }
  return undefined;
}
