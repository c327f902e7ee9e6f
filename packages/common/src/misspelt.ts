/**
 * Finds what was probably meant by a name that is slightly wrong.
 *
 * @returns the first of `names` that is one slip away from `text`: a letter that is missing, added, wrong, or in the place of its
 *   neighbour. Nothing for texts of less than 6 letters, which are close to too much.
 */
export function meantBy(text: string, names: readonly string[]): string | undefined {
  if (text.length < 6) return undefined;
  return names.find((name) => name !== text && isOneSlip(name, text));
}

function isOneSlip(a: string, b: string): boolean {
  const start = [...a].findIndex((letter, index) => letter !== b[index]);
  const [restA, restB] = start === -1 ? ['', b.slice(a.length)] : [a.slice(start), b.slice(start)];
  const isSwapped = restA[0] === restB[1] && restA[1] === restB[0] && restA.slice(2) === restB.slice(2);
  const isOtherOrMissing = [restA, restA.slice(1)].includes(restB.slice(1)) || restA.slice(1) === restB;
  return isOtherOrMissing || (restA.length > 1 && isSwapped);
}
