import { printable } from '../../../bin/plain/printable.mjs';

/** Rows below their titles, in columns. What is in them may be a stranger's, so no control character is printed. */
export function renderTable(titles: string[], rows: string[][]): string {
  const cells = [titles, ...rows].map((row) =>
    row.map((cell) => printable(cell).replaceAll('\n', '\\u000a')),
  );
  const widths = titles.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  return cells
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
