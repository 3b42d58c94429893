/** Every benchmark by name. Each measures both sides of its comparison in the same run and prints ratios. */
const BENCHMARKS: Record<string, () => Promise<{ run(): Promise<void> }>> = {
  drop: () => import("./drop.ts"),
  ingest: () => import("./ingest.ts"),
  live: () => import("./live.ts"),
  read: () => import("./read.ts"),
  scrape: () => import("./scrape.ts"),
};

const names = Deno.args.length > 0 ? Deno.args : Object.keys(BENCHMARKS);
for (const name of names) {
  const load = BENCHMARKS[name];
  if (load === undefined) {
    console.error(`There is no benchmark ${name}. Available: ${Object.keys(BENCHMARKS).join(", ")}`);
    Deno.exit(2);
  }
  console.log(`# ${name}`);
  await (await load()).run();
}
