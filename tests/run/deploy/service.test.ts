import { expect } from "vitest";
import { HOME } from "../../helpers/app.ts";
import { hasProgram, requires } from "../../helpers/require.ts";

const test = requires(
  "systemd-analyze",
  hasProgram("systemd-analyze"),
  "apt-get install systemd",
);
/** Tenths of systemd's exposure level. */
const MOST_EXPOSED = 25;

async function analyze(args: string[]): Promise<{ success: boolean; text: string }> {
  const { success, stdout, stderr } = await new Deno.Command("systemd-analyze", { args }).output();
  const decoder = new TextDecoder();
  return { success, text: decoder.decode(stdout) + decoder.decode(stderr) };
}

test("the service is well formed, and little exposed", async () => {
  const unit = `${HOME}/run/deploy/chub.service`;
  expect(await analyze(["verify", unit])).toEqual({ success: true, text: "" });
  const { success, text } = await analyze([
    "security",
    "--offline=true",
    `--threshold=${MOST_EXPOSED}`,
    "--no-pager",
    unit,
  ]);
  expect([success, text]).toEqual([
    true,
    expect.stringContaining("Overall exposure level for chub.service: 1."),
  ]);
});
