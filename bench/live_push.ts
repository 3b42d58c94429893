/**
 * A process of its own: sends files to a hub at once, and prints what each answered as a JSON line.
 * usage: live_push.ts URL TOKEN TEST (TYPE PATH)...
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
  const response = await fetch(`${url}/api/results?${query}`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": type, "x-file-name": name },
    body: file.readable,
  });
  const answer = await response.json();
  const { accepted = 0 } = answer;
  console.log(JSON.stringify({
    name,
    size,
    accepted,
    seconds: (performance.now() - start) / 1000,
    ...response.ok ? {} : { fault: JSON.stringify(answer).slice(0, 500) },
  }));
}

await Promise.all(
  Array.from({ length: files.length / 2 }, (_, at) => push(files[2 * at]!, files[2 * at + 1]!, at)),
);
