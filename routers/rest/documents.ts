import { z } from "zod";
import { HTTP_STATUS } from "../../errors.ts";
import { openApi, tagOf, VERSION } from "./openapi.ts";
import type { RestOnly, Route } from "./route.ts";
import { escapeHtml, linkOf, page, prose, type SiteLine, siteMap, siteMapPage } from "./site_map.ts";

/** REST-only document routes: site map, OpenAPI, docs, llms.txt, and the page at `/`. */
export function documentRoutes(routes: Route[], others: RestOnly[]): RestOnly[] {
  const documents: RestOnly[] = [];
  const all = () => [...others, ...documents];
  const cached: { lines?: SiteLine[]; openApi?: string } = {};
  const lines = () => cached.lines ??= siteMap(routes, all());
  const spec = () => cached.openApi ??= JSON.stringify(openApi(routes, all()));
  const document = (path: string, summary: string, produces: string, handle: RestOnly["handle"]) =>
    documents.push({
      method: "GET",
      path,
      summary,
      role: "anyone",
      isOpen: true,
      produces,
      input: z.object({}),
      handle,
    });
  document(
    "/api/site-map",
    "List every route, as JSON, or as HTML for browsers",
    "application/json",
    (c) => prefersHtml(c.req.header("accept")) ? siteMapPage(lines()) : c.json({ items: lines() }),
  );
  document(
    "/api/openapi.json",
    "OpenAPI 3.1 document of this API",
    "application/json",
    () => new Response(spec(), { headers: { "content-type": "application/json" } }),
  );
  document("/api/docs", "API reference as HTML", "text/html", () => docsPage(lines()));
  document(
    "/llms.txt",
    "Overview of the hub and its routes, in plain text",
    "text/plain",
    () => new Response(llms(lines()), { headers: { "content-type": "text/plain; charset=utf-8" } }),
  );
  document("/", "Start page with links", "text/html", () => homePage());
  return documents;
}

function prefersHtml(accept: string | undefined): boolean {
  const html = accept?.indexOf("text/html") ?? -1;
  const json = accept?.indexOf("application/json") ?? -1;
  return html >= 0 && (json < 0 || html < json);
}

function docsPage(lines: SiteLine[]): Response {
  const tags = [...new Set(lines.map((line) => tagOf(line.path)))].sort();
  const sections = tags.map((tag) =>
    `<h2 id="${tag}">${escapeHtml(tag)}</h2>` +
    lines.filter((line) => tagOf(line.path) === tag).map((line) =>
      `<details><summary><span class="method ${line.method}">${line.method}</span> <span class="path">${
        escapeHtml(line.path)
      }</span> ` +
      `<span class="muted">${prose(line.summary)}</span></summary><p>${
        line.role === "anyone" ? "Open to all." : `Requires the role <b>${line.role}</b>.`
      } ${line.method === "GET" && !line.path.includes("{") ? `Try it: ${linkOf(line)}` : ""}</p>${
        parametersTable(line)
      }</details>`
    ).join("")
  );
  return page(
    "C Hub: API",
    `<h1>C Hub API ${VERSION}</h1><p>${tags.map((tag) => `<a href="#${tag}">${tag}</a>`).join(" · ")} · ` +
      `<a href="/api/site-map">site map</a> · <a href="/api/openapi.json">OpenAPI 3.1</a></p>` +
      `<p>JSON in and out. Lists return <code>{ "items": […], "nextCursor": … }</code>; pass <code>nextCursor</code> as <code>cursor</code> for the next page. ` +
      `Writes require <code>Authorization: Bearer &lt;token&gt;</code>. The same procedures are available by tRPC under <code>/api/trpc</code>.</p>` +
      sections.join("") +
      `<h2>Problems</h2><p>Errors are <code>application/problem+json</code> with one of these codes:</p><ul>${
        Object.entries(HTTP_STATUS).map(([code, status]) =>
          `<li id="${code}"><code>${code}</code> (${status})</li>`
        ).join("")
      }</ul>`,
  );
}

function parametersTable(line: SiteLine): string {
  if (line.parameters.length === 0) return `<p class="muted">No parameters.</p>`;
  return `<table><thead><tr><th>Name<th>In<th>Type<th>Description</tr></thead><tbody>${
    line.parameters.map((one) =>
      `<tr><td><code>${escapeHtml(one.name)}</code>${one.required ? " *" : ""}</td><td>${one.in}</td><td>${
        escapeHtml(one.type)
      }</td><td>${escapeHtml(one.description)}</td></tr>`
    ).join("")
  }</tbody></table>`;
}

function homePage(): Response {
  return page(
    "C Hub",
    `<h1>C Hub</h1><p>Builds, tests, jobs and results on one changelist axis.</p><ul>
<li><a href="/api/docs">API reference</a></li><li><a href="/api/site-map">Every route</a></li>
<li><a href="/api/dvs/packages">Packages in the binary drop</a></li><li><a href="/api/tests">Tests</a></li>
<li><a href="/api/vrl/jobs">Jobs in the lab</a></li><li><a href="/api/health/ready">Health</a></li></ul>`,
  );
}

function llms(lines: SiteLine[]): string {
  return `# C Hub\n\n> Builds, tests, jobs and results of a compiler team on one changelist axis. JSON over HTTP; OpenAPI at /api/openapi.json.\n\n` +
    `Lists return { items, nextCursor }; pass nextCursor as cursor. Errors are application/problem+json. Reads are open; writes require\n` +
    `Authorization: Bearer <token>. What broke where: GET /api/results/culprit?test=NAME\n\n## Routes\n\n` +
    lines.map((line) => `- ${line.method} ${line.path}: ${line.summary}`).join("\n") + "\n";
}
