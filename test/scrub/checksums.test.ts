/** Check digits against independent implementations: what the native core finds, they accept, and nothing else. */

import { composeIBAN, countrySpecs, isValidIBAN } from 'ibantools';
import { parsePhoneNumberFromString } from 'libphonenumber-js';
import { stdnum } from 'stdnum';
import { describe, expect, test } from 'vitest';
import { findPii, piiAction, policyOf } from '../../src/native/pii.ts';
import { seeded } from '../support/native-random.ts';

const rounds = 10_000;

/** Whether a kind's matcher finds all of a value. */
function finderOf(kind: string, before: string): (value: string) => boolean {
  const policy = policyOf([{ name: kind, action: piiAction.Report }], [], Buffer.alloc(1));
  return (value) => {
    const [, start, end] = findPii(policy, `${before}${value}`, '');
    return start === before.length && end === before.length + value.length;
  };
}

type Check = { validate(value: string): { isValid: boolean } };
const country = (name: string): Record<string, Check> => stdnum[name as keyof typeof stdnum] as never;

/** Kind, words before, the form of random values (9 a digit, A a letter), and who else knows. */
const cases: readonly [string, string, string, Check | undefined][] = [
  ['pl_pesel', 'PESEL ', '99019999999', country('PL').pesel],
  ['nl_bsn', 'BSN ', '999999999', country('NL').bsn],
  ['br_cpf', 'CPF ', '99999999999', country('BR').cpf],
  ['in_aadhaar', 'Aadhaar ', '299999999999', country('IN').aadhaar],
  ['es_nif', 'DNI ', '99999999A', country('ES').dni],
  ['pt_nif', 'NIF ', '299999999', country('PT').nif],
  ['au_tfn', 'TFN ', '999999999', country('AU').tfn],
  ['ca_sin', 'SIN ', '199999999', country('CA').sin],
  ['tr_identity', 'TC Kimlik ', '19999999999', country('TR').tckimlik],
];

describe('a value is found if the other implementation accepts it', () => {
  test.each(cases)('%s', (kind, before, form, check) => {
    if (check === undefined) throw new Error('no such check');
    const finds = finderOf(kind, before);
    const random = seeded(kind.length * 7919);
    let valid = 0;
    for (let round = 0; round < rounds; round++) {
      const start = [...form].map((c) => (c === '9' ? random.below(10) : c === 'A' ? 'A' : c)).join('');
      // The last character is varied until one is accepted, so that many are valid.
      const ends = form.endsWith('A') ? 'ABCDEFGHJKLMNPQRSTVWXYZ' : '0123456789';
      const last = ends[random.below(ends.length)] ?? '';
      const value = start.slice(0, -1) + last;
      const accepted = check.validate(value).isValid;
      valid += accepted ? 1 : 0;
      if (finds(value) !== accepted) expect([value, finds(value)]).toEqual([value, accepted]);
    }
    expect(valid).toBeGreaterThan(rounds / 500);
  });

  test('iban', () => {
    const finds = finderOf('iban', 'IBAN ');
    const random = seeded(5);
    const countries = Object.entries(countrySpecs).filter(([, spec]) => spec.IBANRegistry && spec.chars);
    for (let round = 0; round < rounds; round++) {
      const [countryCode, spec] = random.pick(countries);
      const bban = Array.from({ length: (spec.chars ?? 4) - 4 }, () => random.below(10)).join('');
      const iban = composeIBAN({ countryCode, bban }) ?? `${countryCode}00${bban}`;
      const digit = random.below(10);
      const wrong = iban.slice(0, -1) + digit;
      // The structure of a country's account number is beyond what is asked here: the check digits decide.
      for (const value of [iban, wrong])
        if (isValidIBAN(value)) expect([value, finds(value)]).toEqual([value, true]);
      if (iban !== wrong && finds(iban)) expect([wrong, finds(wrong)]).toEqual([wrong, false]);
    }
  });

  test('phone, in international form', () => {
    const finds = finderOf('phone', 'to ');
    const random = seeded(6);
    let possible = 0;
    for (let round = 0; round < rounds; round++) {
      const length = 7 + random.below(9);
      const value = `+${1 + random.below(9)}${Array.from({ length: length - 1 }, () => random.below(10)).join('')}`;
      const parsed = parsePhoneNumberFromString(value);
      // It also takes numbers with a prefix that is dialled within the country only.
      const accepted = parsed?.number === value && parsed.isPossible();
      possible += accepted ? 1 : 0;
      if (accepted) expect([value, finds(value)]).toEqual([value, true]);
    }
    expect(possible).toBeGreaterThan(rounds / 5);
  });
});
