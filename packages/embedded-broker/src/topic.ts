/**
 * Whether a topic pattern takes a routing key: `*` is one word, `#` any number of them. In time proportional to the
 * product of their lengths, whatever the pattern.
 */
export function matchesTopic(pattern: string, key: string): boolean {
  if (pattern === '#' || pattern === key) return true;
  const words = wordsOf(key);
  /** At i: whether the pattern so far takes the first i words. */
  let reached = [true, ...words.map(() => false)];
  for (const part of wordsOf(pattern)) reached = step(part, words, reached);
  return reached.at(-1) === true;
}

/** The empty key has no word; an empty word between dots is one. */
function wordsOf(key: string): string[] {
  return key === '' ? [] : key.split('.');
}

function step(part: string, words: string[], reached: boolean[]): boolean[] {
  if (part === '#') {
    const first = reached.indexOf(true);
    return reached.map((_, i) => first >= 0 && i >= first);
  }
  return reached.map((_, i) => i > 0 && reached[i - 1] === true && (part === '*' || part === words[i - 1]));
}
