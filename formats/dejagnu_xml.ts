import { MAX_CASE, MAX_EXCERPT } from "../schemas/record.ts";
import { dejagnuRecord, isDejagnuWord } from "./dejagnu_record.ts";
import { type FormatItem, type ResultFormat } from "./format.ts";
import { readXml, rootOf, type XmlHandler, xmlHead } from "./xml.ts";

const NAME = "DejaGnu XML";
const FIELDS = ["result", "name", "prms_id", "input", "output"];

/**
 * The output of `runtest --xml` (DejaGnu's testsuite.dtd): each `test` of the `testsuite` is a case, read like its line in the
 * `.sum`; the input and output of a bad case are its message.
 */
export const dejagnuXml: ResultFormat = {
  name: "dejagnu-xml",
  summary: NAME,
  recognises: (_fileName, head) =>
    rootOf(head) === "testsuite" && /<!ELEMENT testsuite \(test\b|<testsuite>\s*<test>/.test(xmlHead(head)),
  parse: (input) => readXml(input, NAME, new Handler()),
};

class Handler implements XmlHandler<FormatItem> {
  readonly roots = ["testsuite"];
  #items: FormatItem[] = [];
  #test: Record<string, string> | undefined;

  take(): FormatItem[] {
    const items = this.#items;
    this.#items = [];
    return items;
  }

  open(name: string, _attributes: Record<string, string>, path: readonly string[]): void {
    if (name === "test" && path.length === 2) this.#test = {};
  }

  text(text: string, path: readonly string[]): void {
    const field = path[2];
    if (this.#test === undefined || path.length !== 3 || !FIELDS.includes(field!)) return;
    const before = this.#test[field!] ?? "";
    if (before.length < MAX_EXCERPT + MAX_CASE) this.#test[field!] = before + text;
  }

  close(name: string, path: readonly string[]): void {
    if (name !== "test" || path.length !== 1 || this.#test === undefined) return;
    const { result = "", name: rest = "", prms_id = "", input = "", output = "" } = this.#test;
    this.#test = undefined;
    const word = result.trim();
    if (!isDejagnuWord(word)) {
      const reason = `has a result that DejaGnu does not define: ${JSON.stringify(word.slice(0, 40))}`;
      this.#items.push({ kind: "rejected", place: `test ${rest.trim().slice(0, 200)}`, reason });
      return;
    }
    const bug = prms_id.trim();
    const line = /^0?$/.test(bug) || rest.includes("(PRMS") ? rest.trim() : `${rest.trim()} (PRMS ${bug})`;
    const context = [input, output].map((one) => one.trim()).filter((one) => one !== "").join("\n");
    this.#items.push({ kind: "result", record: dejagnuRecord(word, line, { context, target: "" }) });
  }
}
