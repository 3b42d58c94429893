import { Buffer } from "node:buffer";

const code = (letter: string) => letter.charCodeAt(0);
const [SYNC, QUERY, FLUSH, COPY_DONE, COPY_FAIL] = ["S", "Q", "H", "c", "f"].map(code);
const [READY, COPY_IN, ERROR] = ["Z", "G", "E"].map(code);
const [COPY_DATA, DATA_ROW] = [code("d"), code("D")];
const IDLE = code("I");

/** Protocol version 3.0 and the first parameter's name: the start of the driver's startup message. */
const STARTUP = Buffer.from("\0\x03\0\0user\0", "latin1");
/**
 * A parameter for the driver's startup message, which `cleanStartup` removes. It makes the message long enough to be sent
 * at once. Otherwise, if a query arrives while a connection is being lost, the driver (3.4.9) delays the next
 * connection's messages until the abandoned messages of the lost one are sent, which never happens, so every next
 * connection times out.
 */
export const PADDING = { name: "chub.padding", value: "x".repeat(1024) };

/**
 * Finds the startup message at the end of the driver's first chunk; the abandoned messages of a lost connection may
 * precede it.
 */
function findStartup(chunk: Buffer): Buffer | undefined {
  const at = chunk.lastIndexOf(STARTUP) - 4;
  return at >= 0 && chunk.readUInt32BE(at) === chunk.length - at ? chunk.subarray(at) : undefined;
}

/**
 * Whether the chunk starts a connection. The first chunk may also be a cancel request, which the server answers by
 * closing the connection.
 */
export function isStartup(chunk: Buffer): boolean {
  return findStartup(chunk) !== undefined;
}

/** A server error, as in "Error and Notice Message Fields" of the Postgres manual. */
export interface ServerError {
  /** SQLSTATE. */
  code: string;
  message: string;
}

/** Maximum number of bytes read from the server's answer to the startup message. */
const STARTUP_LIMIT = 1 << 16;

/** Reads the server's answer to a startup message. */
export class Startup {
  isReady = false;
  /** Why the server refused the connection. */
  refusal: ServerError | undefined;
  #bytes = Buffer.alloc(0);

  received(chunk: Buffer): void {
    if (this.isReady || this.#bytes.length > STARTUP_LIMIT) return;
    const bytes = Buffer.concat([this.#bytes, chunk]);
    let at = 0;
    while (bytes.length >= at + 5 && bytes.length >= at + 1 + bytes.readUInt32BE(at + 1)) {
      // The length includes its own 4 bytes.
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

/** Returns the part of the driver's first chunk that must be sent. */
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
 * Finds the messages in a byte stream: a letter, the length of the rest including the length itself, and the content.
 * This code sees every byte of every answer, row by row, so it allocates nothing, and makes no call for the letters in
 * `ignored`.
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
   * `onMessage` receives each message's letter, the first byte of its content (0 if empty), and its start in the chunk,
   * which is negative if the message began in the previous chunk.
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
 * Follows the messages between a connection and its server ("Frontend/Backend Protocol" in the Postgres manual), as far
 * as needed to know whose turn it is.
 */
export class Exchange {
  /** `application_name` of the connection. */
  name = "";
  isInTransaction = false;
  /** Whether the server has accepted the connection. */
  isReady = false;
  /** Offsets in the last received chunk where error messages start, except those of copies. */
  errors: number[] = [];
  #isStarted = false;
  /** Number of statements, or groups of statements, that the server has not finished. */
  #owed = 0;
  #isFlushed = false;
  #isCopying = false;
  /** Whether the next answer belongs to a copy. */
  #isOfCopy = false;
  readonly #sent = new Messages(COPY_DATA);
  readonly #received = new Messages(DATA_ROW);

  /** State of the server: idle, reading rows of a `copy`, or owing an answer. */
  get state(): "idle" | "copying" | "answering" {
    if (this.#isCopying) return "copying";
    return this.#owed > 0 || this.#isFlushed ? "answering" : "idle";
  }

  sent(chunk: Buffer): void {
    if (!this.#isStarted) {
      this.#isStarted = true;
      // The server answers a cancel request by closing the connection.
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
