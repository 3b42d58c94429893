export interface LabPaths {
  /** host:port */
  listen: string;
  /** Absolute. */
  data: string;
  /** Folder of the builds, and where links in its path lead. */
  drops: string[];
  tokenFile: string;
  labDir: string;
  deno: string;
}

/** Exactly what the embedded lab may do. */
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
