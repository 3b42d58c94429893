import { Readable } from "node:stream";
import { Busboy, type BusboyHeaders } from "@fastify/busboy";
import { HubError, reasonOf } from "../../errors.ts";

const LIMITS = { files: 10_000, fields: 100, fieldSize: 1 << 16, parts: 10_100 };

export type FormPart =
  | { kind: "field"; name: string; value: string }
  | { kind: "file"; name: string; content: AsyncIterable<Uint8Array>; stream: Readable };

/**
 * Yields the parts of a form in order; files are streamed. Read a file before requesting the next part: its unread rest is
 * discarded. @throws HubError BAD_REQUEST if the form is malformed; what `body` throws
 */
export async function* formParts(
  contentType: string,
  body: AsyncIterable<Uint8Array>,
): AsyncGenerator<FormPart> {
  const parts: FormPart[] = [];
  let isOver = false;
  let fault: unknown;
  let wake = () => {};
  const end = (error?: unknown) => {
    isOver = true;
    fault ??= error;
    wake();
  };
  const busboy = openForm(contentType);
  busboy.on("field", (name, value, isNameCut, isValueCut) => {
    if (isNameCut || isValueCut) {
      return end(
        new HubError(
          "PAYLOAD_TOO_LARGE",
          `A field of the form, or its name, is too large; the limit of a field is ${LIMITS.fieldSize} bytes.`,
        ),
      );
    }
    parts.push({ kind: "field", name, value });
    wake();
  });
  busboy.on("file", (_field, stream, fileName) => {
    stream.on("error", () => {});
    parts.push({ kind: "file", name: fileName ?? "", content: whole(stream), stream });
    wake();
  });
  for (const what of ["filesLimit", "fieldsLimit", "partsLimit"] as const) {
    busboy.on(
      what,
      () => end(new HubError("PAYLOAD_TOO_LARGE", `The form has more parts than ${LIMITS.files}.`)),
    );
  }
  busboy.on("finish", () => end());
  busboy.on(
    "error",
    (error) => end(new HubError("BAD_REQUEST", "The form cannot be read.", { cause: error })),
  );
  const source = Readable.from(body, { objectMode: false, highWaterMark: 1 << 16 });
  let current: Readable | undefined;
  source.on("error", (error) => {
    end(error);
    // A file that is being read must fail too.
    current?.destroy(error);
  });
  source.pipe(busboy);
  try {
    while (true) {
      const part = parts.shift();
      if (part !== undefined) {
        current = part.kind === "file" ? part.stream : undefined;
        yield part;
        current?.resume();
        current = undefined;
      } else if (fault !== undefined) throw fault;
      else if (isOver) return;
      else await new Promise<void>((resolve) => wake = resolve);
    }
  } finally {
    source.destroy();
  }

  /** Yields a file's bytes; an incomplete file fails the form. */
  async function* whole(stream: Readable): AsyncGenerator<Uint8Array> {
    try {
      // Not destroyed when abandoned, because the form would wait for its rest forever.
      yield* stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>;
    } catch (error) {
      fault ??= error instanceof HubError ? error : unreadable(error);
      throw fault;
    }
  }
}

function unreadable(cause: unknown): HubError {
  return new HubError("BAD_REQUEST", `The form cannot be read: ${reasonOf(cause).slice(0, 200)}`, { cause });
}

function openForm(contentType: string) {
  try {
    const headers = { "content-type": contentType } as BusboyHeaders;
    return new Busboy({ headers, limits: LIMITS, preservePath: true });
  } catch (error) {
    throw unreadable(error);
  }
}
