import { z } from "zod";
import { pathParameters, type RestOnly, type Route } from "./route.ts";

/** A line of the site map. */
export interface SiteLine {
  method: string;
  path: string;
  summary: string;
  role: string;
  parameters: {
    name: string;
    in: "path" | "query" | "body";
    required: boolean;
    type: string;
    description: string;
  }[];
}

/** Every route, with its parameters. */
export function siteMap(routes: Route[], extra: RestOnly[]): SiteLine[] {
  const lines = [...routes, ...extra].map(({ method, path, summary, role, input }): SiteLine => ({
    method,
    path,
    summary,
    role,
    parameters: input === undefined ? [] : parametersOf(method, path, input),
  }));
  return lines.sort((a, b) => a.path < b.path ? -1 : a.path > b.path ? 1 : a.method < b.method ? -1 : 1);
}

function parametersOf(method: string, path: string, input: z.ZodObject): SiteLine["parameters"] {
  const names = pathParameters(path);
  const schema = z.toJSONSchema(input, { io: "input", unrepresentable: "any" });
  return Object.entries(schema.properties ?? {}).map(([name, shape]) => {
    const { type, description, enum: values, format } = shape as {
      type?: string;
      description?: string;
      enum?: unknown[];
      format?: string;
    };
    return {
      name,
      in: names.includes(name) ? "path" : method === "POST" || method === "PATCH" ? "body" : "query",
      required: names.includes(name) || (schema.required ?? []).includes(name),
      type: values === undefined ? format ?? type ?? "any" : values.join(" | "),
      description: description ?? "",
    };
  });
}

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}

/** Converts plain text to HTML; words in backticks become code. */
export function prose(text: string): string {
  return escapeHtml(text).replace(/`([^`]+)`/g, "<code>$1</code>");
}

const STYLE = `
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 76rem; padding: 1.5rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
a { color: #0b62c4; } @media (prefers-color-scheme: dark) { a { color: #79b8ff; } }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: .3rem .7rem .3rem 0; vertical-align: top; border-bottom: 1px solid #8884; }
code, .path { font: 13px/1.5 ui-monospace, monospace; } .path { white-space: nowrap; } .muted { opacity: .7; }
details { border: 1px solid #8884; border-radius: .4rem; margin: .4rem 0; padding: .4rem .8rem; } summary { cursor: pointer; }
.method { display: inline-block; min-width: 4.2em; font: 600 12px ui-monospace, monospace; } .GET { color: #1a7f37; } .POST { color: #0b62c4; } .PATCH { color: #9a6700; } .DELETE { color: #cf222e; }
`;

/** An HTML page of the hub, without scripts or external resources. */
export function page(title: string, body: string): Response {
  const html =
    `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">` +
    `<title>${escapeHtml(title)}</title><style>${STYLE}</style></head><body>${body}</body></html>`;
  return new Response(html, {
    headers: {
      "content-type": "text/html; charset=utf-8",
      "content-security-policy":
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    },
  });
}

export function siteMapPage(lines: SiteLine[]): Response {
  const rows = lines.map((line) =>
    `<tr><td><span class="method ${line.method}">${line.method}</span></td><td class="path">${
      linkOf(line)
    }</td>` +
    `<td>${prose(line.summary)}</td><td>${escapeHtml(line.role)}</td>` +
    `<td class="muted">${
      line.parameters.map((one) => `<code>${escapeHtml(one.name)}${one.required ? "*" : ""}</code>`).join(" ")
    }</td></tr>`
  );
  return page(
    "C Hub: site map",
    `<h1>C Hub: site map</h1><p><a href="/api/docs">Docs</a> · <a href="/api/openapi.json">OpenAPI</a></p>` +
      `<table><thead><tr><th>Method<th>Path<th>Summary<th>Role<th>Parameters (* required)</tr></thead><tbody>${
        rows.join("")
      }</tbody></table>`,
  );
}

export function linkOf({ method, path }: { method: string; path: string }): string {
  const text = escapeHtml(path);
  return method === "GET" && !path.includes("{") ? `<a href="${text}">${text}</a>` : text;
}
