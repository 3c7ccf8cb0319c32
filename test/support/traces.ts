/** What a word leaves where it is stored or logged: itself, and its base64 at any offset. */
export function tracesOf(word: string): string[] {
  const encoded = [0, 1, 2].map((offset) => {
    const base64 = Buffer.from(' '.repeat(offset) + word).toString('base64');
    // Without what the bytes around it would change.
    return base64.slice(offset && offset + 1, Math.floor(((offset + word.length) * 8) / 6));
  });
  return [word, ...encoded];
}
