import type { Pattern } from "../../patterns.ts";

export { type PackageName, parsePackage } from "../../schemas/package_name.ts";

/** Which build a name in a package's folder is. */
export interface BuildName {
  changelist: number;
  /** The .n behind the changelist; 0 without one. */
  revision: number;
}

export const EXTENSIONS = ["tgz", "tar.gz", "tar.xz", "zip", "run", "exe", "msi", "deb", "rpm"] as const;
const FILE = /^SW_(\d+)(?:\.(\d+))?_(.+)\.(tgz|tar\.gz|tar\.xz|zip|run|exe|msi|deb|rpm)$/s;
const FOLDER = /^(\d+)(?:\.(\d+))?$/;
const MAX = 2_147_483_647;
const MAX_NAME = 300;

/** Why a name is none that the hub keeps; undefined where it is. */
export function nameFault(name: string): string | undefined {
  if (name.length === 0 || name.length > MAX_NAME) return `is longer than ${MAX_NAME} characters, or empty`;
  if (/\p{Cc}/u.test(name)) return "holds control characters";
  if (/[/\\]/.test(name) || name === "." || name === "..") return "is a path, not a name";
  if (!name.isWellFormed() || name.includes("\uFFFD")) return "is not valid UTF-8";
  return undefined;
}

/** The build that a file `SW_<CL>[.<n>]_<package>.<ext>` is, or why it is none. */
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

/** The build that a folder `<CL>[.<n>]` in a package's folder is, or why it is none. */
export function parseBuildFolder(folder: string): BuildName | { ignored: string } {
  const fault = nameFault(folder);
  if (fault !== undefined) return { ignored: fault };
  const [whole, changelist, revision] = FOLDER.exec(folder) ?? [];
  return whole === undefined
    ? { ignored: "is a folder whose name is no changelist" }
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

/** Where a build lies: root, package and file joined, as a URL. */
export function locationOf(root: string, packageName: string, file: string): string {
  return `${root}/${encodeURIComponent(packageName)}/${encodeURIComponent(file)}`;
}

/** The package and changelist that a build's URL names, by either layout; undefined where it names none. */
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
