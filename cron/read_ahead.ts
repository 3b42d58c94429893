/**
 * Yields the same items, and produces the next item while the current one is processed. An error is thrown after the
 * items before it. When the consumer stops early, the producer is stopped without waiting for it.
 */
export async function* readAhead<T>(items: AsyncGenerator<T>): AsyncGenerator<T> {
  let coming = items.next();
  try {
    while (true) {
      const { done, value } = await coming;
      if (done) return;
      coming = items.next();
      // The next iteration awaits it. If there is none, this avoids an unhandled rejection.
      coming.catch(() => {});
      yield value;
    }
  } finally {
    items.return(undefined).catch(() => {});
  }
}
