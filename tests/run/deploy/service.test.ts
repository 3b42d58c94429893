import { expect } from "vitest";
import { HOME } from "../../helpers/app.ts";
import { hasProgram, requires } from "../../helpers/require.ts";

const test = requires(
  "systemd-analyze",
  hasProgram("systemd-analyze"),
  "apt-get install systemd",
);
/** Exposure level by systemd, in tenths. */
const MOST_EXPOSED = 25;

async function analyze(args: string[]): Promise<{ success: boolean; text: string }> {
  const { success, stdout, stderr } = await new Deno.Command("systemd-analyze", { args }).output();
  const decoder = new TextDecoder();
  return { success, text: decoder.decode(stdout) + decoder.decode(stderr) };
}

test("the service is valid and has a low exposure level", async () => {
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
