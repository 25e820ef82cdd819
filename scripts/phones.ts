/**
 * Writes the table of calling codes and the lengths of numbers behind each, out of the metadata of libphonenumber-js:
 * `node scripts/phones.ts`.
 */
import { writeFileSync } from 'node:fs';
import metadata from 'libphonenumber-js/min/metadata';

/** Position of the list of possible lengths in a country's row. */
const lengthsAt = 3;

type Row = readonly unknown[];
const countries: Readonly<Record<string, Row>> = metadata.countries as never;
const nonGeographic: Readonly<Record<string, Row>> = metadata.nonGeographic as never;

const lengthsOf = (row: Row | undefined): number[] => (row?.[lengthsAt] ?? []) as number[];

const codes = new Map<number, Set<number>>();
const add = (code: string, rows: readonly (Row | undefined)[]): void => {
  const lengths = codes.get(Number(code)) ?? new Set();
  for (const length of rows.flatMap(lengthsOf)) lengths.add(length);
  codes.set(Number(code), lengths);
};
for (const [code, names] of Object.entries(metadata.country_calling_codes as Record<string, string[]>))
  add(
    code,
    names.map((name) => countries[name]),
  );
for (const [code, row] of Object.entries(nonGeographic)) add(code, [row]);

const rows = [...codes]
  .sort(([a], [b]) => a - b)
  .map(([code, lengths]) => {
    const mask = [...lengths].reduce((bits, length) => bits | (1 << length), 0);
    return `(${code}, 0x${mask.toString(16).toUpperCase()})`;
  });
const lines: string[] = [];
for (const row of rows) {
  const last = lines.at(-1);
  if (last !== undefined && last.length + row.length < 100) lines[lines.length - 1] = `${last} ${row},`;
  else lines.push(`    ${row},`);
}
writeFileSync(
  new URL('../native/core/src/pii/kinds/phone_codes.rs', import.meta.url),
  `//! International calling codes. Written by \`node scripts/phones.ts\` from the metadata of libphonenumber-js.

/// Each calling code, rising, and how long numbers behind it may be: bit \`n\` for \`n\` digits.
#[rustfmt::skip]
pub const CODES: [(u16, u32); ${rows.length}] = [
${lines.join('\n')}
];
`,
);
