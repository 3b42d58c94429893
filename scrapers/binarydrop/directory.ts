import { HubError, reasonOf } from "../../errors.ts";
import { nameFault, parseBuildFile, parseBuildFolder } from "./names.ts";
import {
  BATCH,
  type BuildEntry,
  type DropSource,
  type Known,
  type ListingPart,
  type ReadOptions,
  type RootEntry,
  type Unparsed,
} from "./source.ts";

/** A folder's time misses changes within the same clock tick, or within a network file system's delay. */
const SETTLED_MS = 10_000;

/** A drop root in the file system. Sizes are omitted: they would cost a stat of every file. */
export class DirectorySource implements DropSource {
  readonly kind = "directory";
  readonly concurrency = 1;
  readonly #path: string;
  #real: string | undefined;

  constructor(readonly root: string) {
    this.#path = decodeURIComponent(new URL(root).pathname);
  }

  async *listPackages({ signal }: ReadOptions): AsyncGenerator<RootEntry> {
    this.#real = await Deno.realPath(this.#path).catch((error) => {
      throw new HubError("NOT_FOUND", `The drop's folder ${this.#path} cannot be read: ${reasonOf(error)}`);
    });
    for (const entry of this.#list(this.#path)) {
      signal.throwIfAborted();
      const fault = nameFault(entry.name);
      if (fault !== undefined) yield { kind: "stray", unparsed: { place: shown(entry.name), reason: fault } };
      else if (entry.isDirectory || entry.isSymlink) yield { kind: "package", name: entry.name };
      else {yield {
          kind: "stray",
          unparsed: { place: entry.name, reason: "is a file among the package folders" },
        };}
    }
  }

  // Synchronous reads are several times faster; scan.ts yields between packages.
  async *readPackage(
    name: string,
    known: Known | undefined,
    { signal, pattern }: ReadOptions,
  ): AsyncGenerator<ListingPart> {
    const path = `${this.#path}/${name}`;
    const info = this.#stat(path);
    const mark = info.mtime === null ? null : String(info.mtime.getTime());
    if (known?.mark !== undefined && known.mark === mark && mark !== null && known.readAt !== null) {
      if (info.mtime!.getTime() < known.readAt.getTime() - SETTLED_MS) {
        yield { kind: "unchanged" };
        return;
      }
    }
    let builds: BuildEntry[] = [];
    let unparsed: Unparsed[] = [];
    for (const entry of this.#list(path)) {
      const parsed = entry.isFile
        ? parseBuildFile(entry.name, name, pattern)
        : entry.isDirectory
        ? parseBuildFolder(entry.name)
        : { ignored: "is a link or a special file" };
      if ("ignored" in parsed) {
        unparsed.push({ place: `${name}/${shown(entry.name)}`, reason: parsed.ignored });
      } else {builds.push({
          changelist: parsed.changelist,
          revision: parsed.revision,
          file: entry.name,
          size: null,
        });}
      if (builds.length + unparsed.length >= BATCH) {
        signal.throwIfAborted();
        yield { kind: "builds", builds, unparsed };
        builds = [];
        unparsed = [];
      }
    }
    if (builds.length + unparsed.length > 0) yield { kind: "builds", builds, unparsed };
    yield { kind: "end", mark };
  }

  /** Stats a package's folder, following a link only inside the root. @throws HubError BAD_REQUEST, FORBIDDEN */
  #stat(path: string): Deno.FileInfo {
    const info = Deno.lstatSync(path);
    if (!info.isSymlink) {
      if (!info.isDirectory) {
        throw new HubError("BAD_REQUEST", "is a file, not a package folder");
      }
      return info;
    }
    const real = Deno.realPathSync(path);
    if (!real.startsWith(`${this.#real ?? this.#path}/`)) {
      throw new HubError("FORBIDDEN", "is a link to a folder outside the root");
    }
    const target = Deno.statSync(real);
    if (!target.isDirectory) throw new HubError("BAD_REQUEST", "is a link to something other than a folder");
    return target;
  }

  *#list(path: string): Generator<Deno.DirEntry> {
    yield* Deno.readDirSync(path);
  }
}

function shown(name: string): string {
  return name.toWellFormed().replace(/\p{Cc}/gu, "\uFFFD").slice(0, 300);
}
