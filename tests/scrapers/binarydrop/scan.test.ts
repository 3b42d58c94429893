import { expect, test } from "vitest";
import { scanDrop, type ScanEvent } from "../../../scrapers/binarydrop/scan.ts";
import type { DropSource, ListingPart, RootEntry } from "../../../scrapers/binarydrop/source.ts";

/** A source of `packages` packages with `parts` parts of 1000 builds each, which records how far it was read. */
class Counted implements DropSource {
  readonly kind = "bucket";
  readonly root = "s3+http://none";
  readonly concurrency = 4;
  read = 0;
  reading = 0;
  mostAtOnce = 0;

  constructor(
    private readonly packages: number,
    private readonly parts: number,
    private readonly faulty = new Map<string, Error>(),
  ) {}

  async *listPackages(): AsyncGenerator<RootEntry> {
    for (let at = 0; at < this.packages; at++) {
      yield await Promise.resolve({ kind: "package", name: `p${at}` });
    }
  }

  async *readPackage(name: string): AsyncGenerator<ListingPart> {
    this.reading++;
    this.mostAtOnce = Math.max(this.mostAtOnce, this.reading);
    try {
      for (let part = 0; part < this.parts; part++) {
        await Promise.resolve();
        const builds = Array.from({ length: 1000 }, (_, at) => ({
          changelist: part * 1000 + at + 1,
          revision: 0,
          file: `SW_${at}`,
          size: null,
        }));
        this.read += 1000;
        yield { kind: "builds", builds, unparsed: [] };
        const fault = this.faulty.get(name);
        if (fault !== undefined) throw fault;
      }
      yield { kind: "end", mark: null };
    } finally {
      this.reading--;
    }
  }
}

const options = { signal: new AbortController().signal, isScanned: () => true, known: () => undefined };

test("packages are read concurrently but yielded in order, each completely; a failed one is unread", async () => {
  const source = new Counted(9, 2, new Map([["p3", new Error("broken")]]));
  const told: string[] = [];
  for await (const event of scanDrop(source, options)) {
    if (event.kind === "stray") continue;
    told.push(`${event.package.name} ${event.kind}`);
  }
  const expected = Array.from(
    { length: 9 },
    (_, at) => at === 3 ? ["p3 builds", "p3 unread"] : [`p${at} builds`, `p${at} builds`, `p${at} end`],
  ).flat();
  expect(told).toEqual(expected);
  expect(source.mostAtOnce).toBe(4);
});

test("a package of many builds is not buffered whole", async () => {
  const source = new Counted(4, 500);
  const events = scanDrop(source, options);
  let taken = 0;
  for await (const event of events) {
    if (event.kind !== "builds") continue;
    taken += event.builds.length;
    expect(source.read - taken).toBeLessThan(4 * 22_000);
    if (taken > 100_000) break;
  }
  expect(source.reading).toBe(0);
});

test("an error while the scan is stopped ends it, and no reader keeps running", async () => {
  const stop = new AbortController();
  const source = new Counted(8, 3, new Map([["p2", new Error("late")]]));
  const seen: ScanEvent[] = [];
  await expect((async () => {
    for await (const event of scanDrop(source, { ...options, signal: stop.signal })) {
      seen.push(event);
      stop.abort(new Error("stopped"));
    }
  })()).rejects.toThrow("stopped");
  expect(source.reading).toBe(0);
});
