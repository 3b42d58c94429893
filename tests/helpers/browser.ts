import type { TestApp } from "./app.ts";

/** Sends requests like a browser on https behind a trusted proxy, with cookies and a browser's headers. */
export class Browser {
  readonly cookies = new Map<string, string>();

  constructor(private readonly app: TestApp, private readonly address = "203.0.113.7") {}

  async ask(
    method: string,
    path: string,
    { body, headers = {} }: { body?: unknown; headers?: Record<string, string | undefined> } = {},
  ): Promise<Response> {
    const own: Record<string, string | undefined> = {
      "x-forwarded-for": this.address,
      "x-forwarded-proto": "https",
      "x-forwarded-host": "hub.test",
      "sec-fetch-site": "same-origin",
      origin: method === "GET" ? undefined : "https://hub.test",
      cookie: [...this.cookies].map(([name, value]) => `${name}=${value}`).join("; ") || undefined,
      ...headers,
    };
    const response = await this.app.ask(method, path, {
      signedOut: true,
      ...(body === undefined ? {} : { body }),
      headers: Object.fromEntries(
        Object.entries(own).filter((pair): pair is [string, string] => pair[1] !== undefined),
      ),
    });
    for (const line of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line)!;
      if (value === "" || /max-age=0/i.test(line)) this.cookies.delete(name!);
      else this.cookies.set(name!, value!);
    }
    return response;
  }

  signIn(
    name: string,
    password: string,
    headers: Record<string, string | undefined> = {},
  ): Promise<Response> {
    return this.ask("POST", "/api/auth/login", { body: { name, password }, headers });
  }
}
