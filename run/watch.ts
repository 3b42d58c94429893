/** Files that affect a running hub. */
const SOURCE = /\.(?:ts|sql|json)$/;
const NOT_SOURCE = /^(?:node_modules|data|tests|bench|docs|\.[^/]*)(?:\/|$)/;
/** Editors write a file in several steps. */
const QUIET_MS = 150;

export interface SourceWatcher {
  /** Resolves with the next changed source file, relative to the folder; undefined once closed. */
  next(): Promise<string | undefined>;
  close(): void;
}

/** Watches the source files under `folder`; merges changes in quick succession. */
export function watchSources(folder: string): SourceWatcher {
  const watcher = Deno.watchFs(folder, { recursive: true });
  const root = folder.replace(/\/$/, "");
  let waiting = Promise.withResolvers<string | undefined>();
  let timer: ReturnType<typeof setTimeout> | undefined;
  (async () => {
    for await (const { kind, paths } of watcher) {
      if (kind === "access" || kind === "other") continue;
      const changed = paths.map((path) => path.slice(root.length + 1)).find((path) =>
        SOURCE.test(path) && !NOT_SOURCE.test(path)
      );
      if (changed === undefined) continue;
      clearTimeout(timer);
      timer = setTimeout(() => {
        const { resolve } = waiting;
        waiting = Promise.withResolvers();
        resolve(changed);
      }, QUIET_MS);
    }
    waiting.resolve(undefined);
  })();
  return {
    next: () => waiting.promise,
    close() {
      clearTimeout(timer);
      watcher.close();
    },
  };
}
