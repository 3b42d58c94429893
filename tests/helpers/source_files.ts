import { HOME } from "./app.ts";

/** Paths of the project's source files relative to its folder, sorted. */
export async function sourceFiles(): Promise<string[]> {
  const files = await Array.fromAsync(walk(""));
  return files.sort();
}

async function* walk(folder: string): AsyncGenerator<string> {
  for await (const { name, isDirectory } of Deno.readDir(`${HOME}/${folder}`)) {
    if (["node_modules", "data", ".git", ".ci"].includes(name)) continue;
    if (isDirectory) yield* walk(`${folder}${name}/`);
    else if (/\.tsx?$/.test(name)) yield `${folder}${name}`;
  }
}
