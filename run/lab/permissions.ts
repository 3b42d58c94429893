export interface LabPaths {
  /** host:port */
  listen: string;
  /** Absolute. */
  data: string;
  /** Folder of the builds, also with symbolic links resolved. */
  drops: string[];
  tokenFile: string;
  labDir: string;
  deno: string;
}

/** The exact permission flags of the embedded lab. */
export function labFlags({ listen, data, drops, tokenFile, labDir, deno }: LabPaths): string[] {
  return [
    "--no-prompt",
    "--no-remote",
    "--cached-only",
    `--allow-net=${listen}`,
    `--allow-read=${[data, ...drops, tokenFile, labDir].join(",")}`,
    `--allow-write=${data}`,
    `--allow-run=${deno}`,
    // Ends process groups of jobs: Deno.kill would require the permission to run every program.
    "--allow-ffi",
  ];
}
