import { Buffer } from "node:buffer";

const code = (letter: string) => letter.charCodeAt(0);
const [SYNC, QUERY, FLUSH, COPY_DONE, COPY_FAIL] = ["S", "Q", "H", "c", "f"].map(code);
const [READY, COPY_IN, ERROR] = ["Z", "G", "E"].map(code);
const [COPY_DATA, DATA_ROW] = [code("d"), code("D")];
const IDLE = code("I");

/** Version 3.0 and the first parameter's name, with which the driver starts connections. */
const STARTUP = Buffer.from("\0\x03\0\0user\0", "latin1");
/**
 * A parameter of the driver's startup message, which `cleanStartup` removes. It makes the message long enough to be sent at
 * once: if a query came in the moment of a connection's loss, the driver (3.4.9) waits with the next connection's messages for
 * the sending of the last one's, which it gave up, and that connection times out, again and again.
 */
export const PADDING = { name: "chub.padding", value: "x".repeat(1024) };

/** The startup message at the end of what the driver sends first; before it may be what it gave up. */
function findStartup(chunk: Buffer): Buffer | undefined {
  const at = chunk.lastIndexOf(STARTUP) - 4;
  return at >= 0 && chunk.readUInt32BE(at) === chunk.length - at ? chunk.subarray(at) : undefined;
}

/** Whether this starts a connection; what is sent first may also be a request to cancel, which is answered by its end. */
export function isStartup(chunk: Buffer): boolean {
  return findStartup(chunk) !== undefined;
}

/** An error of the server, as in "Error and Notice Message Fields" of Postgres's manual. */
export interface ServerError {
  /** SQLSTATE. */
  code: string;
  message: string;
}

/** Bytes of what a server sends as a connection starts that are looked at. */
const STARTUP_LIMIT = 1 << 16;

/** What a server makes of a connection that starts. */
export class Startup {
  isReady = false;
  /** Why it refuses the connection. */
  refusal: ServerError | undefined;
  #bytes = Buffer.alloc(0);

  received(chunk: Buffer): void {
    if (this.isReady || this.#bytes.length > STARTUP_LIMIT) return;
    const bytes = Buffer.concat([this.#bytes, chunk]);
    let at = 0;
    while (bytes.length >= at + 5 && bytes.length >= at + 1 + bytes.readUInt32BE(at + 1)) {
      // No message is shorter than its length.
      const end = at + 1 + Math.max(4, bytes.readUInt32BE(at + 1));
      if (bytes[at] === READY) this.isReady = true;
      else if (bytes[at] === ERROR) this.refusal = readError(bytes.subarray(at + 5, end));
      at = end;
    }
    this.#bytes = bytes.subarray(at);
  }
}

function readError(fields: Buffer): ServerError {
  const texts = fields.toString("utf8").split("\0");
  const field = (letter: string) => texts.find((text) => text.startsWith(letter))?.slice(1) ?? "";
  return { code: field("C"), message: field("M") };
}

/** What is to be sent of what the driver sends first on a connection. */
export function cleanStartup(chunk: Buffer): Buffer {
  const startup = findStartup(chunk);
  if (startup === undefined) return chunk;
  const padding = Buffer.from(`${PADDING.name}\0${PADDING.value}\0`);
  const at = startup.indexOf(padding);
  if (at < 0) return startup;
  const clean = Buffer.concat([startup.subarray(0, at), startup.subarray(at + padding.length)]);
  clean.writeUInt32BE(clean.length);
  return clean;
}

/**
 * Finds the messages in a stream of bytes: a letter, the length of what follows, including itself, and the content. This
 * sees every byte of every answer, a row at a time: it makes no objects, and calls nothing for the messages of `ignored`.
 */
class Messages {
  #head = new Uint8Array(6);
  #headLength = 0;
  #skip = 0;

  constructor(private readonly ignored: number) {}

  /** Bytes at the end of what was read that begin a message, and do not say yet how long it is. */
  get begun(): number {
    return this.#headLength;
  }

  /**
   * `onMessage` gets the letter and the first byte of the content of each message, 0 if it has none, and where in the chunk it
   * begins, which is below 0 where that is in the chunk before.
   */
  read(chunk: Uint8Array, onMessage: (letter: number, first: number, at: number) => void): void {
    const end = chunk.length;
    let at = this.#skip;
    while (at < end) {
      if (this.#headLength === 0 && end - at >= 6) {
        const length = lengthAt(chunk, at + 1);
        if (chunk[at] !== this.ignored) onMessage(chunk[at]!, length > 4 ? chunk[at + 5]! : 0, at);
        at += 1 + length;
        continue;
      }
      this.#head[this.#headLength++] = chunk[at++]!;
      if (this.#headLength < 5) continue;
      const length = lengthAt(this.#head, 1);
      if (this.#headLength === 5 && length > 4) continue;
      onMessage(this.#head[0]!, length > 4 ? this.#head[5]! : 0, at - this.#headLength);
      this.#headLength = 0;
      at += Math.max(0, length - 5);
    }
    this.#skip = at - end;
  }
}

function lengthAt(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 24 | bytes[at + 1]! << 16 | bytes[at + 2]! << 8 | bytes[at + 3]!) >>> 0;
}

/**
 * Follows what a connection and its server send each other ("Frontend/Backend Protocol" in Postgres's manual), as far as
 * needed to know whose turn it is.
 */
export class Exchange {
  /** `application_name` of the connection. */
  name = "";
  isInTransaction = false;
  /** Whether the server has taken the connection. */
  isReady = false;
  /** Where in the last chunk received errors of statements begin, but for those of copies. */
  errors: number[] = [];
  #isStarted = false;
  /** Statements, or groups of them, whose end the server has not reported. */
  #owed = 0;
  #isFlushed = false;
  #isCopying = false;
  /** Whether the answer that comes is one to a copy. */
  #isOfCopy = false;
  readonly #sent = new Messages(COPY_DATA);
  readonly #received = new Messages(DATA_ROW);

  /** What the server is doing for the connection: nothing, taking rows of a `copy`, or it owes an answer. */
  get state(): "idle" | "copying" | "answering" {
    if (this.#isCopying) return "copying";
    return this.#owed > 0 || this.#isFlushed ? "answering" : "idle";
  }

  sent(chunk: Buffer): void {
    if (!this.#isStarted) {
      this.#isStarted = true;
      // A request to cancel is answered by the end of its connection.
      this.#owed = 1;
      const startup = findStartup(chunk)?.toString("utf8") ?? "";
      this.name = /\0application_name\0([^\0]*)/.exec(startup)?.[1] ?? "";
      return;
    }
    this.#sent.read(chunk, this.#onSent);
  }

  /** Bytes at the end of what was received that begin a message, and do not say yet how long it is. */
  get begun(): number {
    return this.#received.begun;
  }

  received(chunk: Buffer): void {
    this.#isFlushed = false;
    if (this.errors.length > 0) this.errors = [];
    this.#received.read(chunk, this.#onReceived);
  }

  readonly #onSent = (letter: number): void => {
    if (letter === SYNC || letter === QUERY) this.#owed++;
    else if (letter === FLUSH) this.#isFlushed = true;
    else if (letter === COPY_DONE || letter === COPY_FAIL) this.#isCopying = false;
  };

  readonly #onReceived = (letter: number, first: number, at: number): void => {
    if (letter === READY) {
      this.#owed = Math.max(0, this.#owed - 1);
      this.#isCopying = this.#isOfCopy = false;
      this.isReady = true;
      this.isInTransaction = first !== IDLE;
    } else if (letter === COPY_IN) this.#isCopying = this.#isOfCopy = true;
    else if (letter === ERROR) {
      this.#isCopying = false;
      if (this.isReady && !this.#isOfCopy) this.errors.push(at);
    }
  };
}
