import fc from "fast-check";
import { expect, test } from "vitest";
import { compilePattern } from "../../../patterns.ts";
import {
  EXTENSIONS,
  locationOf,
  parseBuildFile,
  parseBuildFolder,
  parseLocation,
  parsePackage,
} from "../../../scrapers/binarydrop/names.ts";

test("a package's name is split at its build word, or kept whole", () => {
  expect(parsePackage("compiler_main_Release_Linux_AMD64_toolchain")).toEqual({
    name: "compiler_main_Release_Linux_AMD64_toolchain",
    branch: "compiler_main",
    build: "Release",
    rest: "Linux_AMD64_toolchain",
  });
  for (const name of ["Release_x", "a_Release", "plain", "a_release_b", "", "_Release_"]) {
    expect(parsePackage(name)).toEqual({ name, branch: null, build: null, rest: null });
  }
});

test("every extension parses, with and without revision; invalid names have a reason", () => {
  for (const extension of EXTENSIONS) {
    expect(parseBuildFile(`SW_1234_p.${extension}`, "p")).toEqual({ changelist: 1234, revision: 0 });
    expect(parseBuildFile(`SW_1234.7_p.${extension}`, "p")).toEqual({ changelist: 1234, revision: 7 });
  }
  for (
    const bad of [
      "SW_0_p.tgz",
      "SW_007_p.tgz",
      "SW_99999999999_p.tgz",
      "SW_1_q.tgz",
      "SW_1_p.txt",
      "sw_1_p.tgz",
      "SW_-1_p.tgz",
      "SW_1_p.tgz.part",
      "../SW_1_p.tgz",
      "SW_1_p\n.tgz",
    ]
  ) {
    expect(parseBuildFile(bad, "p"), bad).toHaveProperty("ignored");
  }
  expect(parseBuildFolder("1234")).toEqual({ changelist: 1234, revision: 0 });
  expect(parseBuildFolder("latest")).toHaveProperty("ignored");
});

test("no name throws, and parsed numbers are in range", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), fc.string(), (file, name) => {
    for (const parsed of [parseBuildFile(file, name), parseBuildFolder(file)]) {
      if ("changelist" in parsed) expect(parsed.changelist).toBeGreaterThan(0);
      else expect(parsed.ignored).toBeTypeOf("string");
    }
    expect(parsePackage(name).name).toBe(name);
    parseLocation(file);
  }));
});

test("a build's location parses back to the build", () => {
  fc.assert(
    fc.property(
      fc.stringMatching(/^[\w +%#?&-]{1,30}$/),
      fc.integer({ min: 1, max: 2_147_483_647 }),
      fc.integer({ min: 1, max: 99 }),
      (name, changelist, revision) => {
        const location = locationOf(
          "https://drop.example/x",
          name,
          `SW_${changelist}.${revision}_${name}.tgz`,
        );
        expect(parseLocation(location)).toEqual({ package: name, changelist, revision });
      },
    ),
  );
});

test("a site's own pattern names the build", () => {
  const pattern = compilePattern("^b(?<changelist>\\d+)-(?<package>\\w+)$");
  expect(parseBuildFile("b12-p", "p", pattern)).toEqual({ changelist: 12, revision: 0 });
  expect(parseBuildFile("b12-q", "p", pattern)).toHaveProperty("ignored");
});
