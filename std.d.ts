// deno-std ships no types; the parts used are declared here, after the documentation of jsr:@std.
declare module "@std/async/retry" {
  export interface RetryOptions {
    multiplier?: number;
    maxTimeout?: number;
    maxAttempts?: number;
    minTimeout?: number;
    jitter?: number;
  }
  export function retry<T>(fn: () => Promise<T> | T, options?: RetryOptions): Promise<T>;
}

declare module "@std/text/levenshtein-distance" {
  export function levenshteinDistance(a: string, b: string): number;
}

// yauzl ships no types; its README is the source of these.
declare module "yauzl" {
  import type { Readable } from "node:stream";
  export interface Entry {
    fileName: string;
    crc32: number;
    uncompressedSize: number;
    compressedSize: number;
    canDecodeFileData(): boolean;
    isEncrypted(): boolean;
  }
  export interface ZipFile {
    entryCount: number;
    eachEntry(): AsyncIterable<Entry>;
    openReadStreamPromise(entry: Entry): Promise<Readable>;
    close(): void;
  }
  export function fromBufferPromise(
    buffer: Uint8Array,
    options?: { validateEntrySize?: boolean },
  ): Promise<ZipFile>;
}

// tar-stream ships no types; its README is the source of these.
declare module "tar-stream" {
  import type { Readable, Writable } from "node:stream";
  export interface Entry extends Readable {
    header: { name: string; type: string | null; size: number; pax: Record<string, string> | null };
  }
  export interface Extract extends Writable, AsyncIterable<Entry> {}
  export function extract(options?: { allowUnknownFormat?: boolean }): Extract;
  export interface Pack extends Readable {
    entry(
      header: { name: string; type?: string; size?: number; pax?: Record<string, string> },
      content?: string | Uint8Array,
    ): Writable;
    finalize(): void;
  }
  export function pack(): Pack;
}
