// Types of packages that ship none, or wrong ones.

// nspell's README is the source of these; its own types lack its methods.
declare module "nspell" {
  export interface Spelling {
    correct(word: string): boolean;
    add(word: string): Spelling;
  }
  export default function nspell(dictionary: { aff: Uint8Array; dic: Uint8Array }): Spelling;
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
      header: {
        name: string;
        type?: string;
        size?: number;
        mode?: number;
        mtime?: Date;
        linkname?: string;
        pax?: Record<string, string>;
      },
      content?: string | Uint8Array,
    ): Writable;
    finalize(): void;
  }
  export function pack(): Pack;
}
