import { BuildbotScraper } from "../../scrapers/ci/buildbot.ts";
import { GitHubScraper } from "../../scrapers/ci/github.ts";
import { GitLabScraper } from "../../scrapers/ci/gitlab.ts";
import { JenkinsScraper } from "../../scrapers/ci/jenkins.ts";
import { LntScraper } from "../../scrapers/ci/lnt.ts";
import { buildbotWorld, jenkinsWorld, NOW } from "./ci_servers.ts";
import { githubWorld, gitlabWorld, lntWorld } from "./git_hosts.ts";
import { type Fault, replay, scrapeWith, type World } from "./replay.ts";

export interface Case {
  make(far: string): World;
  scraper: unknown;
  settings(url: string): Record<string, unknown>;
}

export const CASES: Record<string, Case> = {
  jenkins: {
    make: () => jenkinsWorld(),
    scraper: new JenkinsScraper(),
    settings: (url) => ({ url: `${url}/`, job: "nightly/compiler" }),
  },
  "jenkins artifacts": {
    make: () => jenkinsWorld(),
    scraper: new JenkinsScraper(),
    settings: (url) => ({ url, job: "nightly/compiler", results: "artifacts", changelist: "displayName" }),
  },
  buildbot: {
    make: buildbotWorld,
    scraper: new BuildbotScraper(),
    settings: (url) => ({ url, builder: "clang x86" }),
  },
  "buildbot logs": {
    make: buildbotWorld,
    scraper: new BuildbotScraper(),
    settings: (url) => ({
      url,
      builder: "clang x86",
      results: "logs",
      logs: "^check/junit",
      codebase: "llvm",
    }),
  },
  gitlab: {
    make: () => gitlabWorld(),
    scraper: new GitLabScraper(),
    settings: (url) => ({ url, project: "g/p" }),
  },
  github: {
    make: (far) => githubWorld({ far }),
    scraper: new GitHubScraper(),
    settings: (url) => ({ url, repository: "o/r", workflow: "nightly.yml", artifacts: "^results" }),
  },
  lnt: { make: lntWorld, scraper: new LntScraper(), settings: (url) => ({ url }) },
};

/** Scrapes a case's world. The URLs of its runs are returned without the server's address. */
export async function scrape(
  name: string,
  { fault = "none", more = {}, watermark = null }: {
    fault?: Fault;
    more?: Record<string, unknown>;
    watermark?: string | null;
  } = {},
) {
  const { make, scraper, settings } = CASES[name]!;
  const far = replay(githubWorld());
  const server = replay(make(far.url), fault);
  const found = await scrapeWith(scraper, { ...settings(server.url), ...more }, {
    hosts: [server.host, far.host],
    now: NOW,
    watermark,
  });
  await Promise.all([far.close(), server.close()]);
  const runs = found.runs.map((run) => ({ ...run, url: run.url?.replace(server.url, "") }));
  return { ...found, runs, asked: server.asked };
}
