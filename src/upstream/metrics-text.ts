/**
 * Reads a few named gauges from the Prometheus text format. Tolerant: unreadable lines are skipped, since an engine's
 * metrics may be of any version and size.
 */

/** Lines read of a page; the rest is ignored. */
const linesMax = 20_000;

const newline = 10;
const hash = 35;

/**
 * For each name, the sum of its series (an engine has one per replica); names not found are absent.
 * @param most names for which the largest series is taken instead of the sum: shares can't be added
 */
export function readGauges(
  text: Buffer,
  names: ReadonlySet<string>,
  most: ReadonlySet<string> = new Set(),
): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  let from = 0;
  for (let lines = 0; from < text.length && lines < linesMax; lines++) {
    const at = text.indexOf(newline, from);
    const to = at < 0 ? text.length : at;
    if (text[from] !== hash) readLine(text.toString('latin1', from, to), names, most, found);
    from = to + 1;
  }
  return found;
}

function readLine(
  line: string,
  names: ReadonlySet<string>,
  most: ReadonlySet<string>,
  found: Map<string, number>,
): void {
  const end = line.search(/[{ \t]/);
  const name = end < 0 ? '' : line.slice(0, end);
  if (!names.has(name)) return;
  // A label's value may contain any character, so the labels end at the last brace.
  const labelsEnd = line.lastIndexOf('}') + 1;
  const value = Number.parseFloat(line.slice(Math.max(end, labelsEnd)).trim());
  if (!Number.isFinite(value) || value < 0) return;
  const before = found.get(name);
  if (before === undefined) found.set(name, value);
  else found.set(name, most.has(name) ? Math.max(before, value) : before + value);
}
