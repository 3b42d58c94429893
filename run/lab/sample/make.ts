import { writeTgz } from "../unpack.ts";
import { compilerAt } from "./compiler.ts";

export const SAMPLE_PACKAGES = [
  "calc_main_Release_Linux_AMD64_compiler",
  "calc_main_Debug_Linux_AMD64_compiler",
  "calc_main_Assert_Linux_AMD64_compiler",
  "calc_main_Release_Windows_AMD64_compiler",
  "calc_dev_Release_Linux_AMD64_compiler",
  "calc_main_Retail_Linux_AArch64_compiler",
] as const;

/**
 * Creates the sample drop: runnable builds of the sample compiler as `SW_<CL>_<package>.tgz`, for the first package at every
 * `firstStep`th changelist and for the others at every `step`th. Yields each file it wrote; keeps existing files.
 */
export async function* makeSampleDrop(
  drop: string,
  { from = 1000, to = 1200, step = 5, firstStep = step }: {
    from?: number;
    to?: number;
    step?: number;
    firstStep?: number;
  } = {},
): AsyncGenerator<string> {
  for (const [at, name] of SAMPLE_PACKAGES.entries()) {
    await Deno.mkdir(`${drop}/${name}`, { recursive: true });
    for (let changelist = from; changelist <= to; changelist += at === 0 ? firstStep : step) {
      const path = `${drop}/${name}/SW_${changelist}_${name}.tgz`;
      if (await Deno.stat(path).then(() => true, () => false)) continue;
      const packed = await writeTgz([
        { path: "compiler.js", content: compilerAt(changelist) },
        { path: "BUILD", content: `${name}\n${changelist}\n` },
      ]);
      await Deno.writeFile(`${drop}/.new`, packed);
      await Deno.rename(`${drop}/.new`, path);
      yield path;
    }
  }
}
