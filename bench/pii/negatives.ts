/**
 * Texts that look as if they held personal data and hold none: order numbers, versions, hashes, coordinates, code, logs,
 * UUIDs, ISBNs. `node bench/pii/negatives.ts` writes how many are found to hold some.
 */
import { createHash } from 'node:crypto';
import { piiKinds } from '../../src/native/pii.ts';
import { findIn } from './eval.ts';

/** Kinds whose values have check digits. */
export const checked = new Set([
  'CREDIT_CARD',
  'IBAN_CODE',
  'US_ROUTING',
  'UK_NHS',
  'IE_PPS',
  'ES_NIF',
  'PT_NIF',
  'IT_FISCAL_CODE',
  'PL_PESEL',
  'DE_TAX_ID',
  'FR_NIR',
  'NL_BSN',
  'SE_PERSONAL_NUMBER',
  'FI_PERSONAL_CODE',
  'BE_NATIONAL_NUMBER',
  'CH_AHV',
  'TR_IDENTITY',
  'BR_CPF',
  'BR_CNPJ',
  'IN_AADHAAR',
  'CN_RESIDENT',
  'KR_RESIDENT',
  'SG_NRIC',
  'AU_TFN',
  'CA_SIN',
  'MX_CURP',
  'ZA_ID',
  'WALLET',
]);

/** A generator whose numbers are the same in each run (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** So many texts, the same in each run. */
export function negatives(count: number): string[] {
  const random = seeded(17);
  const below = (limit: number): number => Math.floor(random() * limit);
  const digits = (length: number): string => Array.from({ length }, () => below(10)).join('');
  const hex = (length: number): string =>
    createHash('sha512').update(digits(20)).digest('hex').slice(0, length);
  const uuid = (): string => {
    const text = hex(32);
    return [text.slice(0, 8), text.slice(8, 12), text.slice(12, 16), text.slice(16, 20), text.slice(20)].join(
      '-',
    );
  };
  const pick = (...words: string[]): string => words[below(words.length)] ?? '';
  const forms: (() => string)[] = [
    () => `Order ${digits(12)} was shipped with tracking number ${digits(18)}.`,
    () => `Invoice no. ${digits(10)}, item ${digits(8)}, ref ${digits(16)}`,
    () => `Upgrade to version ${below(20)}.${below(30)}.${below(99)}.${below(9999)} of the driver.`,
    () => `commit ${hex(40)}\nMerge: ${hex(7)} ${hex(7)}`,
    () => `sha256:${hex(64)} size ${digits(9)} bytes`,
    () => `request id ${uuid()} took ${below(900)}.${digits(3)} ms`,
    () => `ISBN 978-${below(10)}-${digits(2)}-${digits(6)}-${below(10)}, page ${below(900)}`,
    () => `lat ${below(90)}.${digits(6)}, lon -${below(180)}.${digits(6)}`,
    () =>
      `2026-0${1 + below(9)}-1${below(10)}T0${below(10)}:${10 + below(49)}:${10 + below(49)}.${digits(6)}Z level=info pid=${digits(5)} n=${digits(4)}`,
    () =>
      `const table = [${Array.from({ length: 8 }, () => digits(1 + below(6))).join(', ')}]; // 0x${hex(8)}`,
    () => `at frame (/app/node_modules/pkg/dist/index.js:${below(9999)}:${below(99)})`,
    () => `The epoch ${digits(10)} is ${digits(13)} in ms and ${digits(16)} as a timestamp in µs.`,
    () =>
      `SKU ${pick('AB', 'XK', 'QT')}-${digits(5)}-${pick('S', 'M', 'L')}, EAN ${digits(13)}, lot ${digits(6)}`,
    () =>
      `In ${1900 + below(120)} the town had ${digits(5)} inhabitants, ${below(100)}.${below(10)} % of them farmers.`,
    () =>
      `password = os.environ["DB_PASSWORD"]; token: str = load_token()  # see section ${below(9)}.${below(9)}.${below(9)}.${below(9)}`,
    () =>
      `import { readFile } from 'node:fs'; x.y.z(${below(99)}); a[${below(9)}] @decorator user@host:~$ ls`,
    () => `snowflake id ${digits(18)}, trace ${hex(32)}, span ${hex(16)}`,
    () =>
      `We counted ${digits(5 + below(14))} of them, and ${digits(4)} ${digits(4)} ${digits(4)} of the others.`,
    () => `Values: ${digits(3)}-${digits(4)}-${digits(4)}, ${digits(6)}-${digits(4)} and ${digits(9)}`,
    () => `Scores: ${Array.from({ length: 6 }, () => `${below(100)}`).join(' ')}; sum ${digits(3)}`,
    () =>
      `npm install left-pad@${below(9)}.${below(30)}.${below(9)} and react@${below(20)}.0.0-rc.${below(9)}`,
    () =>
      `The model has ${digits(3)} ${digits(3)} ${digits(3)} parameters; seed ${digits(10)}, batch ${digits(4)}.`,
  ];
  return Array.from({ length: count }, (_, i) => (forms[i % forms.length] as () => string)());
}

if (import.meta.main) {
  const texts = negatives(10_000);
  const found = new Map<string, string[]>();
  for (const text of texts)
    for (const { type, start, end } of findIn(text))
      found.set(type, [...(found.get(type) ?? []), text.slice(start, end)]);
  let withCheck = 0;
  console.log('| kind | findings in 10,000 texts | such as |\n| --- | --- | --- |');
  for (const [type, values] of found) {
    if (checked.has(type)) withCheck += values.length;
    console.log(`| ${type} | ${values.length} | ${values.slice(0, 3).join(' ; ')} |`);
  }
  console.log(
    JSON.stringify({
      texts: texts.length,
      kinds: piiKinds.length,
      withCheckDigit: withCheck,
      per1000: withCheck / 10,
    }),
  );
}
