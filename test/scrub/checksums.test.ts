/** Check digits against independent implementations: what the native core finds, they accept, and nothing else. */

import { composeIBAN, countrySpecs, isValidIBAN } from 'ibantools';
import { parsePhoneNumberFromString } from 'libphonenumber-js';
import { stdnum } from 'stdnum';
import { describe, expect, test } from 'vitest';
import { findPii, piiAction, policyOf } from '../../src/native/pii.ts';
import { type Random, seeded } from '../support/native-random.ts';

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

const two = (number: number): string => String(number).padStart(2, '0');
/** All numbers of so many digits, as a last part of values. */
const numbers = (digits: number): string[] =>
  Array.from({ length: 10 ** digits }, (_, number) => String(number).padStart(digits, '0'));
const letters = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZ'];
const date = (random: Random): string =>
  `${two(50 + random.below(50))}${two(1 + random.below(12))}${two(1 + random.below(28))}`;

/**
 * Kind, words before, how values begin, and their last parts, of which few are right. In the beginning, 9 stands for a
 * digit, 8 for one that isn't 0, `D` for six digits of a date, `C` for 19, `I` for ten digits of which one occurs twice,
 * and each other character for itself.
 */
const cases: readonly [string, string, string, readonly string[], Check | undefined][] = [
  ['pl_pesel', 'PESEL ', 'D9999', numbers(1), country('PL').pesel],
  ['nl_bsn', 'BSN ', '89999999', numbers(1), country('NL').bsn],
  ['br_cpf', 'CPF ', '999999999', numbers(2), country('BR').cpf],
  ['br_cnpj', 'CNPJ ', '899999990001', numbers(2), country('BR').cnpj],
  ['in_aadhaar', 'Aadhaar ', '89899999999', numbers(1), country('IN').aadhaar],
  ['es_nif', 'DNI ', '99999999', letters, country('ES').dni],
  ['es_nif', 'NIE ', 'X9999999', letters, country('ES').nie],
  ['pt_nif', 'NIF ', '29999999', numbers(1), country('PT').nif],
  ['it_fiscal_code', 'fiscale ', 'RSSMRA79A19H999', letters, country('IT').codicefiscale],
  ['de_tax_id', 'Steuer-ID ', 'I', numbers(1), country('DE').idnr],
  ['fr_nir', 'NIR ', '1990199999999', numbers(2), country('FR').nir],
  ['se_personal_number', 'personnummer ', 'D-999', numbers(1), country('SE').personnummer],
  ['fi_personal_code', 'hetu ', '101071-299', [...'0123456789', ...letters], country('FI').hetu],
  // Not 00, 98 and 99, which no remainder of 97 leads to: the other takes them too.
  ['be_national_number', 'Belgian ', 'D499', numbers(2).slice(1, 98), country('BE').nn],
  ['ch_ahv', 'AHV ', '756.9999.9999.9', numbers(1), country('CH').ssn],
  ['au_tfn', 'TFN ', '89999999', numbers(1), country('AU').tfn],
  ['ca_sin', 'SIN ', '19999999', numbers(1), country('CA').sin],
  ['tr_identity', 'TC Kimlik ', '899999999', numbers(2), country('TR').tckimlik],
  ['cn_resident', 'ID ', '110105CD999', [...numbers(1), 'X'], country('CN').ric],
  ['kr_resident', 'RRN ', 'D-100999', numbers(1), country('KR').rrn],
  ['mx_curp', 'CURP ', 'BOXWDHNERXN0', numbers(1), country('MX').curp],
  ['za_id', 'South African ID ', 'D999908', numbers(1), country('ZA').idnr],
  ['ie_pps', 'PPS ', '9999999', letters, country('IE').pps],
];

/** A beginning of values, by its form. */
function beginning(form: string, random: Random): string {
  if (form === 'I') {
    const digits = Array.from({ length: 10 }, (_, i) => i);
    for (let i = 9; i > 0; i--) {
      const other = random.below(i + 1);
      [digits[i], digits[other]] = [digits[other] ?? 0, digits[i] ?? 0];
    }
    if (digits[0] === 0) digits.reverse();
    digits[1 + random.below(9)] = digits[0] ?? 0;
    return digits.join('');
  }
  const parts: Readonly<Record<string, () => string>> = {
    '9': () => `${random.below(10)}`,
    '8': () => `${1 + random.below(9)}`,
    C: () => '19',
    D: () => date(random),
  };
  return [...form].map((c) => parts[c]?.() ?? c).join('');
}

describe('a value is found if the other implementation accepts it', () => {
  test.each(cases)('%s, %s', (kind, before, form, ends, check) => {
    if (check === undefined) throw new Error('no such check');
    const finds = finderOf(kind, before);
    const random = seeded(kind.length * 7919);
    let [tried, valid] = [0, 0];
    while (tried < rounds) {
      const start = beginning(form, random);
      for (const end of ends) {
        const value = start + end;
        const accepted = check.validate(value).isValid;
        tried++;
        valid += accepted ? 1 : 0;
        if (finds(value) !== accepted) expect([value, finds(value)]).toEqual([value, accepted]);
      }
    }
    expect(valid).toBeGreaterThan(rounds / 200);
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
        if (isValidIBAN(value) && !finds(value)) expect([value, false]).toEqual([value, true]);
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
      if (accepted && !finds(value)) expect([value, false]).toEqual([value, true]);
    }
    expect(possible).toBeGreaterThan(rounds / 5);
  });
});
