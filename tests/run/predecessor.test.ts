import { afterEach, expect, test, vi } from "vitest";
import { createDrain } from "../../run/drain.ts";
import { waitForPredecessor } from "../../run/predecessor.ts";

afterEach(() => vi.restoreAllMocks());

const serve = (handler: Deno.ServeHandler<Deno.NetAddr>) =>
  Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, handler);

test("waits for a draining hub to end, but not for a working hub", async () => {
  const printed = vi.spyOn(console, "log").mockImplementation(() => {});
  let asked = 0;
  const drain = createDrain(() => new Response("ok"));
  const server = serve((request, info) => {
    asked++;
    return drain.fetch(request, info);
  });
  const url = `http://127.0.0.1:${server.addr.port}`;
  const stop = { isRequested: false };
  expect(await waitForPredecessor(url, stop)).toBe(false);
  await drain.drain();
  const waited = waitForPredecessor(url, stop);
  await expect.poll(() => asked).toBeGreaterThan(3);
  await server.shutdown();
  expect(await waited).toBe(true);
  expect(printed).toHaveBeenCalledOnce();
});

test("does not wait if nothing listens", async () => {
  const server = serve(() => new Response());
  await server.shutdown();
  expect(await waitForPredecessor(`http://127.0.0.1:${server.addr.port}`, { isRequested: false })).toBe(true);
});

test("reports a listener that aborts connections, without waiting for it", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const breaking = (async () => {
    for await (const connection of listener) connection.close();
  })();
  const url = `http://127.0.0.1:${listener.addr.port}`;
  expect(await waitForPredecessor(url, { isRequested: false })).toBe(false);
  listener.close();
  await breaking.catch(() => {});
});

test("does not mistake another server's 503 for a draining hub", async () => {
  const server = serve(() => new Response("busy", { status: 503 }));
  expect(await waitForPredecessor(`http://127.0.0.1:${server.addr.port}`, { isRequested: false })).toBe(
    false,
  );
  await server.shutdown();
});
