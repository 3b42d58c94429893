/**
 * A separate process that sends files to a hub concurrently, and prints each answer as a JSON line.
 *     usage: live_push.ts URL TOKEN TEST (TYPE PATH)...
 */
const [url, token, test, ...files] = Deno.args;

async function push(type: string, path: string, at: number): Promise<void> {
  const name = path.slice(path.lastIndexOf("/") + 1);
  const query = new URLSearchParams({
    test: `${test} ${name}`,
    changelist: "1000",
    externalId: `${test} ${at}`,
  });
  const file = await Deno.open(path);
  const { size } = await file.stat();
  const start = performance.now();
  // Sends the file like curl, with its length; `fetch` omits the length of a stream.
  const { hostname, port, host } = new URL(url!);
  const connection = await Deno.connect({ hostname, port: Number(port) });
  const head = [
    `POST /api/results?${query} HTTP/1.1`,
    `host: ${host}`,
    `authorization: Bearer ${token}`,
    `content-type: ${type}`,
    `x-file-name: ${name}`,
    `content-length: ${size}`,
    "connection: close",
  ].join("\r\n");
  const writer = connection.writable.getWriter();
  await writer.write(new TextEncoder().encode(`${head}\r\n\r\n`));
  writer.releaseLock();
  await file.readable.pipeTo(connection.writable, { preventClose: true });
  const text = await new Response(connection.readable).text();
  const ok = /^HTTP\/1\.1 20[01] /.test(text);
  const answer = ok ? JSON.parse(text.slice(text.indexOf("{"), text.lastIndexOf("}") + 1)) : {};
  const { accepted = 0 } = answer;
  console.log(JSON.stringify({
    name,
    size,
    accepted,
    seconds: (performance.now() - start) / 1000,
    ...ok ? {} : { fault: text.slice(0, 500) },
  }));
}

await Promise.all(
  Array.from({ length: files.length / 2 }, (_, at) => push(files[2 * at]!, files[2 * at + 1]!, at)),
);
