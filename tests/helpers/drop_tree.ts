export interface Drop {
  path: string;
  /** `file:` URL, as DROP_URLS takes it. */
  url: string;
  remove(): Promise<void>;
}

/** An empty drop folder for packages. */
export async function makeDrop(): Promise<Drop> {
  const path = await Deno.makeTempDir({ prefix: "chub-drop-" });
  return {
    path,
    url: `file://${path}`,
    remove: () => Deno.remove(path, { recursive: true }).catch(() => {}),
  };
}

/** A package with builds `SW_<CL>_<package>.tgz`, or folders `<CL>`. */
export async function makePackage(
  root: string,
  name: string,
  changelists: number[],
  { others = [], folders = [], kind = "file" }: {
    others?: string[];
    folders?: string[];
    kind?: "file" | "folder";
  } = {},
) {
  const path = `${root}/${name}`;
  const pathOf = (changelist: number) =>
    kind === "file" ? `${path}/SW_${changelist}_${name}.tgz` : `${path}/${changelist}`;
  const add = (changelist: number) =>
    kind === "file" ? Deno.writeTextFileSync(pathOf(changelist), "") : Deno.mkdirSync(pathOf(changelist));
  await Deno.mkdir(path);
  for (const changelist of changelists) add(changelist);
  for (const other of others) await Deno.writeTextFile(`${path}/${other}`, "");
  for (const folder of folders) await Deno.mkdir(`${path}/${folder}`);
  return {
    path,
    addBuild: (changelist: number) => Promise.resolve(add(changelist)),
    removeBuild: (changelist: number) => Deno.remove(pathOf(changelist), { recursive: true }),
    remove: () => Deno.remove(path, { recursive: true }),
  };
}

/** A real web server that lists a folder as nginx does, with faults by path: a status, or a truncated page. */
export function serveIndex(root: string) {
  const faults = new Map<string, "500" | "cut">();
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, (request) => {
    const path = decodeURIComponent(new URL(request.url).pathname);
    const fault = faults.get(path);
    if (fault === "500") return new Response("broken", { status: 500 });
    const lines = [...Deno.readDirSync(`${root}${path}`)].map((entry) => {
      const name = encodeURIComponent(entry.name) + (entry.isDirectory ? "/" : "");
      return `<a href="${name}">${name}</a> 01-May-2024 03:00 ${entry.isDirectory ? "-" : 0}\n`;
    }).sort();
    const page = `<html><head><title>Index of ${path}</title></head><body><pre><a href="../">../</a>\n${
      lines.join("")
    }</pre></body></html>\n`;
    const shown = fault === "cut" ? page.slice(0, page.length / 2) : page;
    return new Response(shown, { headers: { "content-type": "text/html" } });
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    faults,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

/** A real web server that answers every GET with the result of `answer` for its URL. */
export function serve(answer: (url: URL) => string) {
  const server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    (request) => new Response(answer(new URL(request.url))),
  );
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}
