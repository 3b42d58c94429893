/**
 * The same items; while one is being used the next is made. What making one throws comes after those before it. Whoever makes
 * them is not waited for where no more are wanted.
 */
export async function* readAhead<T>(items: AsyncGenerator<T>): AsyncGenerator<T> {
  let coming = items.next();
  try {
    while (true) {
      const { done, value } = await coming;
      if (done) return;
      coming = items.next();
      // Awaited in the next turn; should there be none, nobody else hears of it.
      coming.catch(() => {});
      yield value;
    }
  } finally {
    items.return(undefined).catch(() => {});
  }
}
