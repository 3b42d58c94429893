import { SaxesParser } from "saxes";
import { HubError } from "../../errors.ts";
import type { BoundedFetch } from "../http/bounded_fetch.ts";
import { nameFault, parseBuildFile, parseBuildFolder } from "./names.ts";
import type {
  BuildEntry,
  DropSource,
  Known,
  ListingPart,
  ReadOptions,
  RootEntry,
  Unparsed,
} from "./source.ts";

/** A page of ListObjectsV2 (S3) or of a GCS XML listing with a delimiter. */
export interface BucketPage {
  prefixes: string[];
  objects: { key: string; size: number | null }[];
  isTruncated: boolean;
  nextToken: string | undefined;
  nextMarker: string | undefined;
}

const MAX_PAGES = 10_000;
/** Deepest nesting of elements; a listing has three levels. */
const MAX_DEPTH = 20;

/** Parses one page. @throws HubError BAD_GATEWAY when it is not a complete ListBucketResult */
export function parseBucketPage(xml: string): BucketPage {
  const page: BucketPage = {
    prefixes: [],
    objects: [],
    isTruncated: false,
    nextToken: undefined,
    nextMarker: undefined,
  };
  const path: string[] = [];
  let text = "";
  let object = { key: "", size: null as number | null };
  let encoding = "";
  let isOver = false;
  const parser = new SaxesParser();
  parser.on("error", (error) => {
    throw new HubError("BAD_GATEWAY", `A bucket listing cannot be read: ${error.message}`);
  });
  parser.on("doctype", () => {
    throw new HubError(
      "BAD_GATEWAY",
      "A bucket listing contains a document type declaration, which is not allowed.",
    );
  });
  parser.on("opentag", ({ name }) => {
    const local = name.slice(name.lastIndexOf(":") + 1);
    if (path.length === 0 && local !== "ListBucketResult") {
      throw new HubError("BAD_GATEWAY", `Not a bucket listing: its root is ${name}.`);
    }
    if (path.length >= MAX_DEPTH) {
      throw new HubError("BAD_GATEWAY", `A bucket listing is nested deeper than ${MAX_DEPTH} levels.`);
    }
    path.push(local);
    text = "";
    if (local === "Contents") object = { key: "", size: null };
  });
  const onText = (part: string) => {
    if (text.length < 10_000) text += part;
  };
  parser.on("text", onText);
  parser.on("cdata", onText);
  parser.on("closetag", () => {
    const at = path.join("/").replace("ListBucketResult/", "");
    if (at === "CommonPrefixes/Prefix") page.prefixes.push(text);
    else if (at === "Contents/Key") object.key = text;
    else if (at === "Contents/Size") object.size = /^\d+$/.test(text.trim()) ? Number(text) : null;
    else if (at === "Contents") page.objects.push(object);
    else if (at === "IsTruncated") page.isTruncated = text.trim() === "true";
    else if (at === "NextContinuationToken") page.nextToken = text;
    else if (at === "NextMarker" && text !== "") page.nextMarker = text;
    else if (at === "EncodingType") encoding = text.trim();
    path.pop();
    isOver = path.length === 0;
    text = "";
  });
  parser.write(xml.trim()).close();
  if (!isOver) throw new HubError("BAD_GATEWAY", "A bucket listing is truncated.");
  if (encoding === "url") {
    const decode = (key: string) => decodeURIComponent(key.replaceAll("+", " "));
    page.prefixes = page.prefixes.map(decode);
    page.objects = page.objects.map(({ key, size }) => ({ key: decode(key), size }));
    page.nextMarker = page.nextMarker === undefined ? undefined : decode(page.nextMarker);
  }
  return page;
}

/** A drop root in a bucket with ListObjectsV2 (`s3+https:`) or the GCS XML API (`gcs+https:`); packages are top-level prefixes. */
export class BucketSource implements DropSource {
  readonly kind = "bucket";
  readonly concurrency = 8;
  readonly #endpoint: URL;
  readonly #prefix: string;
  readonly #isS3: boolean;

  constructor(readonly root: string, private readonly fetch: BoundedFetch) {
    this.#isS3 = !root.startsWith("gcs+");
    const url = new URL(root.replace(/^(?:s3|gcs)\+/, ""));
    this.#prefix = url.searchParams.get("prefix") ?? "";
    if (this.#prefix !== "" && !this.#prefix.endsWith("/")) this.#prefix += "/";
    url.searchParams.delete("prefix");
    this.#endpoint = url;
  }

  async *listPackages({ signal }: ReadOptions): AsyncGenerator<RootEntry> {
    for await (const page of this.#pages(this.#prefix, signal)) {
      for (const prefix of page.prefixes) {
        const name = prefix.slice(this.#prefix.length).replace(/\/$/, "");
        const fault = nameFault(name);
        if (fault === undefined) yield { kind: "package", name };
        else yield { kind: "stray", unparsed: { place: name.slice(0, 300), reason: fault } };
      }
      for (const { key } of page.objects) {
        const name = key.slice(this.#prefix.length);
        if (name !== "") {
          yield {
            kind: "stray",
            unparsed: { place: name.slice(0, 300), reason: "is an object among the package folders" },
          };
        }
      }
    }
  }

  async *readPackage(
    name: string,
    _known: Known | undefined,
    { signal, pattern }: ReadOptions,
  ): AsyncGenerator<ListingPart> {
    const prefix = `${this.#prefix}${name}/`;
    for await (const page of this.#pages(prefix, signal)) {
      const builds: BuildEntry[] = [];
      const unparsed: Unparsed[] = [];
      const entries = [
        ...page.prefixes.map((key) => ({
          file: key.slice(prefix.length).replace(/\/$/, ""),
          size: null,
          isFolder: true,
        })),
        ...page.objects.map(({ key, size }) => ({ file: key.slice(prefix.length), size, isFolder: false })),
      ];
      for (const { file, size, isFolder } of entries) {
        if (file === "") continue;
        const parsed = isFolder ? parseBuildFolder(file) : parseBuildFile(file, name, pattern);
        if ("ignored" in parsed) {
          unparsed.push({ place: `${name}/${file.slice(0, 300)}`, reason: parsed.ignored });
        } else builds.push({ ...parsed, file, size });
      }
      yield { kind: "builds", builds, unparsed };
    }
    yield { kind: "end", mark: null };
  }

  async *#pages(prefix: string, signal: AbortSignal): AsyncGenerator<BucketPage> {
    let after: string | undefined;
    for (let count = 0; count < MAX_PAGES; count++) {
      const url = new URL(this.#endpoint);
      if (this.#isS3) url.searchParams.set("list-type", "2");
      url.searchParams.set("delimiter", "/");
      if (prefix !== "") url.searchParams.set("prefix", prefix);
      if (after !== undefined) url.searchParams.set(this.#isS3 ? "continuation-token" : "marker", after);
      const response = await this.fetch(url, { signal });
      const xml = await response.text();
      if (!response.ok) {
        throw new HubError("BAD_GATEWAY", `${url.origin}${url.pathname} answered ${response.status}.`);
      }
      const page = parseBucketPage(xml);
      yield page;
      if (!page.isTruncated) return;
      const next = page.nextToken ?? page.nextMarker ?? (this.#isS3 ? undefined : page.objects.at(-1)?.key);
      if (next === undefined) {
        throw new HubError(
          "BAD_GATEWAY",
          `The listing of ${url.pathname} is truncated but has no marker of the next page.`,
        );
      }
      if (next === after) {
        throw new HubError(
          "BAD_GATEWAY",
          `The listing of ${url.pathname} returned the page after ${JSON.stringify(next)} twice.`,
        );
      }
      after = next;
    }
    throw new HubError("BAD_GATEWAY", `The listing of ${prefix} has more than ${MAX_PAGES} pages.`);
  }
}
