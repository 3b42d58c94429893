export interface OutputOptions {
  /** Number of characters kept from the beginning and from the end; those in between are dropped and counted. */
  keep: { first: number; last: number };
  /**
   * Called with each line of at most `MAX_LINE` bytes, without its end, as it arrives. A carriage return ends a line too, since
   * progress displays use it. `isWhole`: false for the last line if the stream ends without a line end.
   */
  onLine(line: string, isWhole: boolean): void;
}

export interface Output {
  /** The kept text. NUL characters, which Postgres rejects, are replaced. */
  text(): string;
  /** Resolves at the stream's end, or after `cancel`. */
  ended: Promise<void>;
  /** Time of the last chunk, by `performance.now()`. */
  lastAt(): number;
  cancel(): void;
}

/** Longer lines are skipped, since no meaningful line is that long. */
const MAX_LINE = 64 << 10;
const [NEWLINE, RETURN] = [10, 13];

/** Reads a stream to its end in bounded memory; passes on every line, however much text precedes it. */
export function readOutput(stream: ReadableStream<Uint8Array>, { keep, onLine }: OutputOptions): Output {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  const lines = lineReader(onLine);
  let first = "";
  let last = "";
  let dropped = 0;
  let lastAt = performance.now();
  const add = (text: string) => {
    const room = keep.first - first.length;
    first += text.slice(0, room);
    last += text.slice(Math.max(0, room));
    if (last.length <= keep.last) return;
    dropped += last.length - keep.last;
    last = last.slice(-keep.last);
  };
  async function read(): Promise<void> {
    while (true) {
      const { value } = await reader.read().catch(() => ({ value: undefined }));
      if (value === undefined) break;
      lastAt = performance.now();
      lines.push(value);
      add(decoder.decode(value, { stream: true }));
    }
    lines.end();
    add(decoder.decode());
  }
  return {
    text: () =>
      `${first}${dropped === 0 ? "" : `\n[${dropped} characters left out]\n`}${last}`.replaceAll(
        "\0",
        "\uFFFD",
      ),
    ended: read(),
    lastAt: () => lastAt,
    cancel: () => void reader.cancel().catch(() => {}),
  };
}

function lineReader(onLine: OutputOptions["onLine"]) {
  const line = new Uint8Array(MAX_LINE);
  let length = 0;
  let isLong = false;
  const add = (bytes: Uint8Array) => {
    if (isLong || length + bytes.length > MAX_LINE) isLong = true;
    else line.set(bytes, length);
    length += isLong ? 0 : bytes.length;
  };
  const finish = (isWhole: boolean) => {
    if (!isLong && length > 0) onLine(new TextDecoder().decode(line.subarray(0, length)), isWhole);
    length = 0;
    isLong = false;
  };
  return {
    push(bytes: Uint8Array) {
      let from = 0;
      for (let at = 0; at < bytes.length; at++) {
        if (bytes[at] !== NEWLINE && bytes[at] !== RETURN) continue;
        add(bytes.subarray(from, at));
        finish(true);
        from = at + 1;
      }
      add(bytes.subarray(from));
    },
    end: () => finish(false),
  };
}
