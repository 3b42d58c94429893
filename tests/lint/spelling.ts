import dictionary from "dictionary-en";
import nspell, { type Spelling } from "nspell";

/**
 * Checks the spelling of the docs (README, CHANGELOG, CONTRIBUTING, docs/): American English by dictionary-en, and the words of
 * tests/lint/words.txt. Code, addresses, file names and words with digits or inner capitals are not checked. Prints each unknown word
 * with its place, and exits with 1 if there is one.
 * usage: deno run --allow-read tests/lint/spelling.ts
 */
const HOME = new URL("../../", import.meta.url).pathname;

async function* docs(folder: string): AsyncGenerator<string> {
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (isDirectory) yield* docs(`${folder}/${name}`);
    else if (name.endsWith(".md")) yield `${folder}/${name}`;
  }
}

/** The words of a line that is prose, without what is no word of a language. */
function wordsOf(line: string): string[] {
  const prose = line
    .replace(/`[^`]*`/g, " ")
    .replace(/\]\([^)]*\)/g, "] ")
    .replace(/https?:\/\/\S+|\S*[/@_=\\<>]\S*/g, " ");
  return (prose.match(/[\p{L}\d]+(?:['’][\p{L}]+)*/gu) ?? [])
    .map((word) => word.replace("’", "'"))
    .filter((word) => !/\d|\p{Ll}\p{Lu}|^\p{Lu}{2,}s?$/u.test(word));
}

/** Words of a page that the dictionary lacks, as `path:line: word`. */
function unknownWords(path: string, text: string, spell: Spelling): string[] {
  const unknown: string[] = [];
  let isCode = false;
  for (const [at, line] of text.split("\n").entries()) {
    if (/^\s*```/.test(line)) isCode = !isCode;
    if (isCode) continue;
    for (const word of wordsOf(line)) {
      const isKnown = spell.correct(word) || spell.correct(word.replace(/'s$/, "")) ||
        spell.correct(word.toLowerCase());
      if (!isKnown) unknown.push(`${path.slice(HOME.length)}:${at + 1}: ${word}`);
    }
  }
  return unknown;
}

const spell = nspell(dictionary);
for (const word of (await Deno.readTextFile(`${HOME}tests/lint/words.txt`)).split("\n")) {
  if (word !== "") spell.add(word);
}
const pages = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md"].map((name) => `${HOME}${name}`);
pages.push(...await Array.fromAsync(docs(`${HOME}docs`)));
const unknown: string[] = [];
for (const path of pages.sort()) unknown.push(...unknownWords(path, await Deno.readTextFile(path), spell));
if (unknown.length > 0) {
  console.error(unknown.join("\n"));
  console.error(`${unknown.length} unknown words: correct them, or add them to tests/lint/words.txt`);
  Deno.exit(1);
}
