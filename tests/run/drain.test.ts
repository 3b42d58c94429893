import { expect, test } from "vitest";
import { createDrain } from "../../run/drain.ts";

test("a drain refuses new requests and waits for bodies and responses in progress", async () => {
  const begun = Promise.withResolvers<void>();
  const finish = Promise.withResolvers<void>();
  const drain = createDrain(async (request) => {
    if (request.method === "GET") {
      const body = new ReadableStream<Uint8Array>({
        async start(controller) {
          controller.enqueue(new TextEncoder().encode("first "));
          await finish.promise;
          controller.enqueue(new TextEncoder().encode("last"));
          controller.close();
        },
      });
      return new Response(body);
    }
    begun.resolve();
    return new Response(`got ${(await request.text()).length}`);
  });
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, drain.fetch);
  const { port } = server.addr;
  const connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const send = (text: string) => connection.write(new TextEncoder().encode(text));
  await send("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\nconnection: close\r\n\r\n12345");
  await begun.promise;
  const streamed = await fetch(`http://127.0.0.1:${port}/`);
  let isDrained = false;
  const drained = drain.drain().then(() => isDrained = true);
  const refused = await fetch(`http://127.0.0.1:${port}/`);
  expect([refused.status, refused.headers.get("retry-after")]).toEqual([503, "5"]);
  expect((await refused.json()).detail).toContain("stopping");
  await send("67890");
  expect(await new Response(connection.readable).text()).toMatch(/^HTTP\/1.1 200 [^]*got 10$/);
  expect(isDrained).toBe(false);
  finish.resolve();
  expect(await streamed.text()).toBe("first last");
  await drained;
  await server.shutdown();
});
