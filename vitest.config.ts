import { defineConfig } from "vitest/config";

// Vite does not read deno.json: the specifiers that name a file of deno-std are given to it here.
const { imports } = JSON.parse(Deno.readTextFileSync(new URL("./deno.json", import.meta.url))) as {
  imports: Record<string, string>;
};
const alias = Object.fromEntries(
  Object.entries(imports)
    .filter(([name]) => name.startsWith("@std/"))
    .map(([name, target]) => [name, target.replace(/^npm:deno-std@[^/]+/, "deno-std")]),
);

export default defineConfig({
  resolve: { alias },
  test: {
    include: ["tests/**/*.test.ts"],
    globalSetup: ["tests/helpers/global_setup.ts"],
    pool: "forks",
    maxWorkers: 2,
    // These mean a hang, on a machine that is busy with other things too.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    teardownTimeout: 60_000,
    expect: { poll: { timeout: 60_000, interval: 20 } },
  },
});
