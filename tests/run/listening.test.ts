import { afterEach, expect, test, vi } from "vitest";
import { isListening } from "../../run/listening.ts";

afterEach(() => vi.restoreAllMocks());

test("reports a server while it listens", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const url = `http://127.0.0.1:${listener.addr.port}`;
  expect(await isListening(url)).toBe(true);
  listener.close();
  expect(await isListening(url)).toBe(false);
});

test.each([
  ["http://127.0.0.1:80", { hostname: "127.0.0.1", port: 80 }],
  ["http://[::1]:8600", { hostname: "::1", port: 8600 }],
])("%s is asked at its own host and port", async (url, address) => {
  const connect = vi.spyOn(Deno, "connect").mockRejectedValue(new Deno.errors.ConnectionRefused());
  expect(await isListening(url)).toBe(false);
  expect(connect.mock.calls).toEqual([[address]]);
});
