/** Whether something takes TCP connections at an http URL's host and port. */
export async function isListening(url: string): Promise<boolean> {
  const { hostname, port } = new URL(url);
  try {
    // A URL does not keep http's own port.
    (await Deno.connect({ hostname: hostname.replace(/^\[|\]$/g, ""), port: Number(port || 80) })).close();
    return true;
  } catch {
    return false;
  }
}
