// Sends one form for run/chub-push where curl is missing: push_send.ts ANSWER HEAD STALL CONNECT
// Reads the options that chub-push writes for `curl -K -` from stdin, so that both senders get the same options and neither
// the token nor a value is in the process list. Writes the response's body to ANSWER and its head to HEAD, prints its status,
// and exits with curl's exit code for the case. STALL and CONNECT are limits in seconds; a STALL of 0 means no limit.
import { Buffer } from "node:buffer";
import { type IncomingMessage, request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";

/** Exit codes as curl's, see its manual. */
const CODES = {
  notHttp: 1,
  usage: 2,
  badUrl: 3,
  noHost: 6,
  noConnection: 7,
  partialAnswer: 18,
  unreadableFile: 26,
  timeout: 28,
  brokenTls: 35,
  brokenConnection: 56,
  untrusted: 60,
} as const;

const CHUNK = 1 << 16;

class Failure extends Error {
  constructor(readonly kind: keyof typeof CODES, message: string) {
    super(message);
  }
}

/** Strings are latin1, one character per byte, so that values in any encoding are sent unchanged. */
interface Form {
  url: URL;
  headers: Record<string, string>;
  fields: string[];
  files: string[];
}

interface Part {
  head: Buffer;
  file?: { path: string; size: number };
}

interface Limits {
  stall: number;
  connect: number;
}

const latin1 = (text: string) => Buffer.from(text, "latin1");
const unquote = (text: string) => text.replace(/\\(.)/gs, "$1");

/** Decodes UTF-8. @throws Failure if `text` is not UTF-8 */
function decoded(text: string, kind: "badUrl" | "unreadableFile"): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(latin1(text));
  } catch {
    throw new Failure(
      kind,
      `${latin1(text).toString()} is not UTF-8, which Deno requires; rename it or install curl`,
    );
  }
}

/** Parses curl's config format as chub-push writes it. @throws Failure */
function parseForm(text: string): Form {
  const headers: Form["headers"] = {};
  const fields: string[] = [];
  const files: string[] = [];
  let address = "";
  for (const line of text.split("\n")) {
    if (line === "") continue;
    const [, option, quoted] = /^([a-z-]+) = "(.*)"$/s.exec(line) ?? [];
    const value = unquote(quoted ?? "");
    const [, file] = /^file=@"((?:\\.|[^"\\])*)";filename="/s.exec(value) ?? [];
    if (option === "url") address = decoded(value, "badUrl");
    else if (option === "form-string") fields.push(value);
    else if (option === "form" && file !== undefined) files.push(unquote(file));
    else if (option === "header" && value.includes(": ")) {
      headers[value.slice(0, value.indexOf(": "))] = value.slice(value.indexOf(": ") + 2);
    } else throw new Failure("usage", `${option ?? "a line on stdin"} is not an option of this program`);
  }
  if (Object.values(headers).some((value) => /[^\t\x20-\x7e\x80-\xff]/.test(value))) {
    throw new Failure("usage", "the token or the key contains a control character");
  }
  const url = URL.parse(address);
  if (url === null) throw new Failure("badUrl", `${address} is an invalid URL`);
  return { url, headers, fields, files };
}

/** The form's parts as curl writes them, with the sizes of their files. @throws Failure */
async function partsOf({ fields, files }: Form, boundary: string): Promise<Part[]> {
  const begin = `--${boundary}\r\nContent-Disposition: form-data; name=`;
  const parts: Part[] = fields.map((field) => {
    const at = field.indexOf("=");
    return { head: latin1(`${begin}"${field.slice(0, at)}"\r\n\r\n${field.slice(at + 1)}\r\n`) };
  });
  for (const name of files) {
    const path = decoded(name, "unreadableFile");
    const { size } = await Deno.stat(path).catch((error) => unreadable(path, error));
    const head = `${begin}"file"; filename="${name.replaceAll('"', "%22")}"\r\n` +
      "Content-Type: application/octet-stream\r\n\r\n";
    parts.push({ head: latin1(head), file: { path, size } }, { head: latin1("\r\n") });
  }
  return [...parts, { head: latin1(`--${boundary}--\r\n`) }];
}

function unreadable(path: string, error: unknown): never {
  throw new Failure("unreadableFile", `cannot read ${path}: ${(error as Error).message}`);
}

/**
 * Yields the bytes of the parts in order. A chunk is overwritten when the next one is read.
 * @throws Failure if a file cannot be read, or has become shorter than its `size`
 */
async function* bytesOf(parts: Part[]): AsyncGenerator<Uint8Array> {
  const buffer = new Uint8Array(CHUNK);
  for (const { head, file } of parts) {
    yield head;
    if (file === undefined) continue;
    const opened = await Deno.open(file.path).catch((error) => unreadable(file.path, error));
    try {
      for (let left = file.size; left > 0;) {
        const count = await opened.read(buffer.subarray(0, Math.min(left, CHUNK))).catch((error) =>
          unreadable(file.path, error)
        );
        if (count === null) {
          throw new Failure("unreadableFile", `${file.path} became shorter while it was sent`);
        }
        left -= count;
        yield buffer.subarray(0, count);
      }
    } finally {
      opened.close();
    }
  }
}

/** Regroups bytes into chunks of CHUNK, so that short parts do not become separate packets. */
async function* inChunks(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let chunk = new Uint8Array(CHUNK);
  let used = 0;
  for await (const bytes of source) {
    for (let at = 0; at < bytes.length;) {
      const count = Math.min(CHUNK - used, bytes.length - at);
      chunk.set(bytes.subarray(at, at + count), used);
      at += count;
      used += count;
      if (used < CHUNK) continue;
      yield chunk;
      chunk = new Uint8Array(CHUNK);
      used = 0;
    }
  }
  if (used > 0) yield chunk.subarray(0, used);
}

/** Sends the form and saves the response, which may arrive before all is sent. Returns its status. @throws Failure */
async function send(form: Form, { stall, connect }: Limits, save: Save): Promise<number> {
  const { url } = form;
  const boundary = `------------------------${crypto.randomUUID().replaceAll("-", "")}`;
  const parts = await partsOf(form, boundary);
  const size = parts.reduce((sum, { head, file }) => sum + head.length + (file?.size ?? 0), 0);
  const failed = Promise.withResolvers<never>();
  const answered = Promise.withResolvers<IncomingMessage>();
  let moved = performance.now();
  const noteMove = () => moved = performance.now();
  const watch = setInterval(() => {
    if (stall === 0 || performance.now() - moved < stall * 1000) return;
    failed.reject(new Failure("timeout", `no byte was sent or received for ${stall} s`));
  }, 200);
  const connecting = setTimeout(() => {
    failed.reject(new Failure("timeout", `${url.host} did not accept a connection within ${connect} s`));
  }, connect * 1000);
  const isSecure = url.protocol === "https:";
  const request = (isSecure ? httpsRequest : httpRequest)(url, {
    method: "POST",
    agent: false,
    headers: {
      ...form.headers,
      "content-type": `multipart/form-data; boundary=${boundary}`,
      "content-length": size,
    },
  });
  request.on("response", answered.resolve);
  request.on("error", (error) => failed.reject(failureOf(error, url)));
  request.on("socket", (socket) => {
    socket.once(isSecure ? "secureConnect" : "connect", () => clearTimeout(connecting));
  });
  const sending = async () => {
    for await (const chunk of inChunks(bytesOf(parts))) {
      // Errors are reported to the "error" listener above.
      await new Promise<void>((resolve) => request.write(chunk, () => resolve()));
      noteMove();
    }
    request.end();
  };
  const receiving = async () => {
    const response = await answered.promise;
    noteMove();
    await save(response, noteMove);
    return response.statusCode!;
  };
  try {
    sending().catch(failed.reject);
    return await Promise.race([receiving(), failed.promise]);
  } finally {
    clearInterval(watch);
    clearTimeout(connecting);
    request.destroy();
  }
}

function failureOf(error: Error & { code?: string }, { host }: URL): Failure {
  const { code = "", message, name } = error;
  // chub-push permits only the host as the user spelled it.
  if (name === "NotCapable") return new Failure("badUrl", `${message}; write the hub's host as ${host}`);
  if (/^ERR_SSL_/.test(code)) {
    return new Failure("brokenTls", `${host} failed the TLS handshake: ${message}`);
  }
  if (/CERT|SIGNATURE/.test(code)) {
    return new Failure("untrusted", `the certificate of ${host} is not trusted: ${message}`);
  }
  if (code === "ENOTFOUND" || code === "EAI_AGAIN") {
    return new Failure("noHost", `${host} has no address: ${message}`);
  }
  if (/^E(?:CONNREFUSED|HOSTUNREACH|NETUNREACH|ADDRNOTAVAIL)$/.test(code)) {
    return new Failure("noConnection", `cannot connect to ${host}: ${message}`);
  }
  if (code.startsWith("HPE_")) return new Failure("notHttp", `the answer of ${host} is not HTTP: ${message}`);
  return new Failure("brokenConnection", `the connection to ${host} broke: ${message}`);
}

type Save = (response: IncomingMessage, noteMove: () => void) => Promise<void>;

if (import.meta.main) {
  const [answer = "", head = "", stall, connect] = Deno.args;
  const save: Save = async (response, noteMove) => {
    const { statusCode, rawHeaders } = response;
    let lines = `HTTP/${response.httpVersion} ${statusCode}\r\n`;
    for (let at = 0; at < rawHeaders.length; at += 2) {
      lines += `${rawHeaders[at]!.toLowerCase()}: ${rawHeaders[at + 1]}\r\n`;
    }
    await Deno.writeFile(head, latin1(`${lines}\r\n`), { create: false });
    using file = await Deno.open(answer, { write: true, truncate: true });
    try {
      for await (const chunk of response) {
        noteMove();
        for (let at = 0; at < chunk.length;) at += await file.write(chunk.subarray(at));
      }
    } catch (error) {
      throw new Failure("partialAnswer", `the answer broke off: ${(error as Error).message}`);
    }
  };
  try {
    const text = Buffer.from(await new Response(Deno.stdin.readable).arrayBuffer()).toString("latin1");
    const status = await send(parseForm(text), { stall: Number(stall), connect: Number(connect) }, save);
    console.log(status);
    Deno.exit(0);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    console.error(`chub-push: ${error.message}`);
    Deno.exit(CODES[error.kind]);
  }
}
