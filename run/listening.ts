/** Whether an http URL's host and port accept TCP connections. */
export async function isListening(url: string): Promise<boolean> {
  const { hostname, port } = new URL(url);
  try {
    // URL omits the default port of http.
    (await Deno.connect({ hostname: hostname.replace(/^\[|\]$/g, ""), port: Number(port || 80) })).close();
    return true;
  } catch {
    return false;
  }
}
