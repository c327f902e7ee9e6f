/**
 * How the user has called a program: by `npx waybill`, which says so in its place, or by its file.
 *
 * @param {string} file in `bin/`
 */
export function programName(file) {
  const called = process.argv[1] ?? '';
  return called.startsWith('npx waybill ') ? called : `node bin/${file}`;
}
