/**
 * Creates a drop of empty files, `SW_<CL>_<package>.tgz`, in folders last changed a day ago. Returns the number of
 * builds.
 */
export function makeTree(root: string, { packages, builds }: { packages: number; builds: number }): number {
  const settled = new Date(Date.now() - 86_400_000);
  for (let at = 0; at < packages; at++) {
    const name = `compiler_main_Release_Linux_AMD64_part${String(at).padStart(4, "0")}`;
    Deno.mkdirSync(`${root}/${name}`, { recursive: true });
    for (let n = 0; n < builds; n++) {
      Deno.openSync(`${root}/${name}/SW_${1000 + n * 5}_${name}.tgz`, { write: true, create: true }).close();
    }
    Deno.utimeSync(`${root}/${name}`, settled, settled);
  }
  return packages * builds;
}
