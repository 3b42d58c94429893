export interface LabPaths {
  /** host:port */
  listen: string;
  /** Absolute. */
  data: string;
  drop: string;
  tokenFile: string;
  labDir: string;
  deno: string;
}

/** Exactly what the embedded lab may do. */
export function labFlags({ listen, data, drop, tokenFile, labDir, deno }: LabPaths): string[] {
  return [
    "--no-prompt",
    "--no-remote",
    "--cached-only",
    `--allow-net=${listen}`,
    `--allow-read=${[data, drop, tokenFile, labDir].join(",")}`,
    `--allow-write=${data}`,
    `--allow-run=${deno}`,
  ];
}
