import { HOME } from "./app.ts";

/** Programs that chub-push runs besides its sender. */
const TOOLS = "sh cat sed cut tr mktemp sha256sum rm dirname readlink sleep tail".split(" ");

/** Creates a folder with Deno and the tools of chub-push, but without curl. Returns its path, for use as PATH. */
export async function makePathWithoutCurl(parent: string, { deno = true } = {}): Promise<string> {
  const folder = await Deno.makeTempDir({ dir: parent, prefix: "bin-" });
  for (const tool of TOOLS) {
    const path = Deno.env.get("PATH")!.split(":").map((each) => `${each}/${tool}`).find(isThere);
    if (path !== undefined) await Deno.symlink(path, `${folder}/${tool}`);
  }
  if (deno) await Deno.symlink(Deno.execPath(), `${folder}/deno`);
  return folder;
}

function isThere(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

/** Runs chub-push in `folder` with no environment but `env` (`PATH` default: this process's). */
export async function runPush(
  folder: string,
  args: string[],
  env: Record<string, string>,
  script = `${HOME}/run/chub-push`,
): Promise<{ code: number; out: string; err: string }> {
  const { code, stdout, stderr } = await new Deno.Command("/bin/sh", {
    args: [script, ...args],
    cwd: folder,
    clearEnv: true,
    env: { PATH: Deno.env.get("PATH")!, ...env },
  }).output();
  const decoder = new TextDecoder();
  return { code, out: decoder.decode(stdout), err: decoder.decode(stderr) };
}
