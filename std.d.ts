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

// sax ships no types; its README is the source of these.
declare module "sax" {
  export interface Tag {
    name: string;
    attributes: Record<string, string>;
    isSelfClosing: boolean;
  }
  export interface SaxOptions {
    trim?: boolean;
    normalize?: boolean;
    lowercase?: boolean;
    xmlns?: boolean;
    position?: boolean;
    strictEntities?: boolean;
  }
  export interface SAXParser {
    line: number;
    column: number;
    position: number;
    error: Error | null;
    ontext: (text: string) => void;
    oncdata: (text: string) => void;
    ondoctype: (text: string) => void;
    onopentag: (tag: Tag) => void;
    onclosetag: (name: string) => void;
    onerror: (error: Error) => void;
    onend: () => void;
    write(chunk: string): SAXParser;
    close(): SAXParser;
    resume(): SAXParser;
  }
  const sax: {
    parser(strict: boolean, options?: SaxOptions): SAXParser;
    /** Characters of one attribute, comment or name that are too many. */
    MAX_BUFFER_LENGTH: number;
  };
  export default sax;
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
