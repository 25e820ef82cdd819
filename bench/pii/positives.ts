/**
 * Labelled sentences of the kinds that public sets hold few of: numbers of the US and the UK, passports, MAC addresses, dates
 * of birth, and secrets, as people and programs write them. The same in each run; `node bench/pii/positives.ts` shows the scores.
 */
import { evaluate, type Sample, scoreTable } from './eval.ts';
import { seeded } from './negatives.ts';

/** Sentences of each kind: `%` stands for the value. Some say what it is, some only by its form. */
const sentences: Readonly<Record<string, readonly string[]>> = {
  US_SSN: [
    'My social security number is %.',
    'SSN: %',
    'Please update the SSN on file to % for this employee',
    '{"ssn":"%"}',
    'Patient Doe, %, admitted on Monday',
    'Her soc sec is % and she lives in Ohio.',
  ],
  US_ITIN: ['My ITIN is %.', 'taxpayer number: %', 'He files his taxes with % since 2019'],
  US_ROUTING: ['Routing number % please', 'ABA: %', 'wire it, the RTN is %'],
  US_DRIVER_LICENSE: [
    "Driver's license: %",
    'My driver license number is %.',
    'DL % expires next year',
    '{"license_number":"%"}',
    'the driving licence % was found in the car',
  ],
  PASSPORT: ['Passport No. %', 'my passport is %', 'Reisepass: %'],
  UK_NHS: ['NHS number %', 'The patient with % called again', '{"nhs":"%"}'],
  UK_NINO: ['National insurance: %', 'NINO %', 'I was given % when I started to work'],
  MAC: ['The card at % is down', 'arp says %', 'mac=%'],
  API_KEY: [
    'Use % for it',
    'OPENAI_API_KEY=%',
    '{"key":"%"}',
    'curl -H "X-Key: %" https://api.example',
    'it says %.',
  ],
  JWT: ['Authorization: Bearer %', 'token=%;', 'The cookie is %, and it expired.'],
  PASSWORD: [
    'password=%',
    'DB_PASSWORD: "%"',
    '{"client_secret": "%"}',
    'My password is %, why does it fail?',
    "const apiToken = '%'",
  ],
  PRIVATE_KEY: ['My key:\n%\nIs it strong?', '{"key":"%"}', '%'],
  URL_CREDENTIALS: ['DATABASE_URL=%', 'It connects to % at night', '"dsn": "%"'],
  BIRTH_DATE: ['Born on %.', 'DOB: %', 'date of birth %', '{"birthdate":"%"}'],
};

const letters = 'abcdefghijklmnopqrstuvwxyz';
const digits = '0123456789';

/** So many sentences of each kind. */
export function positives(count: number): Sample[] {
  const random = seeded(23);
  const below = (limit: number): number => Math.floor(random() * limit);
  const pick = <T>(...items: readonly T[]): T => items[below(items.length)] as T;
  /** Each 9 becomes a digit, A a letter, F a hexadecimal digit. */
  const fill = (form: string): string =>
    form.replace(/[9AF]/g, (c) =>
      c === '9'
        ? `${below(10)}`
        : c === 'A'
          ? pick(...'ABCDEFGHJKLMNPRSTVWXYZ')
          : pick(...'0123456789abcdef'),
    );
  /** The first filling of a form whose digits pass a check. */
  const passing = (form: string, valid: (digits: number[]) => boolean): string => {
    for (;;) {
      const value = fill(form);
      if (valid([...value].filter((c) => /\d/.test(c)).map(Number))) return value;
    }
  };
  const characters = (count: number, alphabet = letters + letters.toUpperCase() + digits): string =>
    Array.from({ length: count }, () => pick(...alphabet)).join('');
  /** With a letter and a digit at least, as each password needs. */
  const password = (count: number): string => `${characters(count - 2)}${pick(...letters)}${below(10)}`;
  const two = (number: number): string => String(number).padStart(2, '0');
  const weighted = (digits: readonly number[], weights: readonly number[]): number =>
    weights.reduce((sum, weight, place) => sum + weight * (digits[place] ?? 0), 0);
  const values: Readonly<Record<string, () => string>> = {
    US_SSN: () => {
      const [a, b, c] = [two(1 + below(98)).padStart(3, '1'), two(1 + below(98)), `${1000 + below(8999)}`];
      return pick(`${a}-${b}-${c}`, `${a}-${b}-${c}`, `${a}${b}${c}`, `${a} ${b} ${c}`);
    },
    US_ITIN: () => fill(pick('999-7', '999-8')).replace(/^./, '9') + fill('0-9999'),
    US_ROUTING: () => passing('021999999', (d) => weighted(d, [3, 7, 1, 3, 7, 1, 3, 7, 1]) % 10 === 0),
    // California, New York, Texas, Ohio, New Jersey, Michigan, Florida, Illinois.
    US_DRIVER_LICENSE: () =>
      fill(
        pick(
          'A9999999',
          '999999999',
          '99999999',
          'AA999999',
          'A99999999999999',
          'A999999999999',
          'A999-999-99-999-9',
          'A999-9999-9999',
        ),
      ),
    PASSPORT: () => fill(pick('999999999', 'A99999999', 'AA9999999')),
    UK_NHS: () =>
      passing(pick('999 999 9999', '9999999999'), (d) => {
        const check = 11 - (weighted(d, [10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11);
        return check !== 10 && check % 11 === d[9];
      }),
    UK_NINO: () =>
      pick('AB', 'JK', 'SR', 'WX') + fill(pick('999999', ' 99 99 99 ')) + pick('A', 'B', 'C', 'D'),
    MAC: () => fill(pick('1F:FF:FF:FF:FF:FF', '2F-FF-FF-FF-FF-FF', '00FF.FFFF.FFF1')),
    API_KEY: () =>
      pick(
        () => `ghp_${characters(36)}`,
        () => `AKIA${characters(16, letters.toUpperCase() + digits)}`,
        () => `sk-proj-${characters(120)}`,
        () => `sk-ant-api03-${characters(95)}`,
        () => `xoxb-${characters(12, digits)}-${characters(12, digits)}-${characters(24)}`,
        () => `AIza${characters(35)}`,
        () => `glpat-${characters(20)}`,
        () => `sk_live_${characters(24)}`,
        () => `hf_${characters(34)}`,
        () => `SG.${characters(22)}.${characters(43)}`,
      )(),
    JWT: () =>
      [
        { alg: 'HS256', typ: 'JWT' },
        { sub: `user-${below(1e6)}`, iat: 1_700_000_000 + below(1e7) },
      ]
        .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
        .concat(characters(43))
        .join('.'),
    PASSWORD: () => password(14 + below(20)),
    PRIVATE_KEY: () => {
      const sort = pick('RSA ', 'EC ', 'OPENSSH ', '');
      const lines = Array.from({ length: 4 + below(20) }, () => characters(64));
      return [`-----BEGIN ${sort}PRIVATE KEY-----`, ...lines, `-----END ${sort}PRIVATE KEY-----`].join('\n');
    },
    URL_CREDENTIALS: () =>
      pick(
        'postgres://app:*@db.internal:5432/app',
        'https://bot:*@git.example/x.git',
        'redis://:*@cache:6379/0',
      ).replace('*', password(8 + below(12))),
    BIRTH_DATE: () => {
      const [day, month, year] = [1 + below(28), 1 + below(12), 1930 + below(90)];
      const name = new Date(Date.UTC(2000, month - 1, 1)).toLocaleString('en', {
        month: 'long',
        timeZone: 'UTC',
      });
      return pick(
        `${year}-${two(month)}-${two(day)}`,
        `${month}/${day}/${year}`,
        `${day}.${month}.${year}`,
        `${name} ${day}, ${year}`,
        `${day} ${name} ${year}`,
      );
    },
  };
  return Object.entries(sentences).flatMap(([type, forms]) =>
    Array.from({ length: count }, (_, i) => {
      const form = forms[i % forms.length] ?? '';
      const value = values[type]?.() ?? '';
      const start = form.indexOf('%');
      return { text: form.replace('%', value), spans: [{ type, start, end: start + value.length }] };
    }),
  );
}

if (import.meta.main) console.log(scoreTable(evaluate(positives(300))));
