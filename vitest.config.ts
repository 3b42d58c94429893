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
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
});
