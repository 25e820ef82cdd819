/** What `sidegate check` says of kinds of personal data, and of a recogniser of names. */
import { describe, expect, test } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';

const checked = (scrub: object) => {
  const config = {
    authenticate: { anonymousTenant: 'a' },
    providers: { own: { dialect: 'openai', baseUrl: 'http://127.0.0.1:8000/v1' } },
    routes: [{ model: 'm', targets: [{ provider: 'own' }] }],
    scrub,
  };
  const result = parseConfig(JSON.stringify(config), {}, () => '');
  const lines = (found: readonly { path: string; message: string }[]): string[] =>
    found.map(({ path, message }) => `${path}: ${message}`);
  return { faults: result.ok ? [] : lines(result.faults), warnings: lines(result.warnings) };
};

const url = 'http://127.0.0.1:5002';
const person = { person: 'block' };

describe('actions by kind', () => {
  const custom = [{ name: 'employee_id', pattern: 'EMP-\\d{6}' }];

  test.each([
    [{ request: { emial: 'off' } }, 'scrub.request.emial: there is no such kind; did you mean "email"?'],
    [
      { custom, tenants: { a: { reply: { shoe_size: 'redact' } } } },
      'scrub.tenants.a.reply.shoe_size: there is no such kind: those of your own are named under `scrub.custom`',
    ],
  ])('%j has a fault', (scrub, fault) => {
    expect(checked(scrub).faults).toEqual([fault]);
  });

  test('kinds of the configuration may be named wherever others are', () => {
    const actions = { request: { employee_id: 'block' }, reply: { employee_id: 'redact' } };
    const scrub = { custom, ...actions, tenants: { a: actions }, routes: { m: actions } };
    expect(checked(scrub)).toEqual({ faults: [], warnings: [] });
  });
});

describe('a recogniser', () => {
  test.each([
    [{ recogniser: {} }, /^scrub\.recogniser\.url: /],
    [{ recogniser: { url: 'presidio:5002' } }, /^scrub\.recogniser\.url: must be a URL/],
    [
      { recogniser: { url: 'http://me:secret@host' } },
      /^scrub\.recogniser\.url: must contain no credentials$/,
    ],
    [{ recogniser: { url, timeoutMs: 0 } }, /^scrub\.recogniser\.timeoutMs: /],
    [{ recogniser: { url, language: 'English!' } }, /^scrub\.recogniser\.language: must be a language/],
    [{ recogniser: { url, entities: { PERSON: 'people' } } }, /^scrub\.recogniser\.entities\.PERSON: /],
    [{ request: person }, /^scrub\.request\.person: is found by `scrub\.recogniser` only/],
    [{ tenants: { a: { request: person } } }, /^scrub\.tenants\.a\.request\.person: is found/],
    [{ routes: { m: { request: person } } }, /^scrub\.routes\.m\.request\.person: is found/],
    [{ recogniser: { url, entities: { LOCATION: 'location' } }, request: person }, /person: is found/],
    [{ recogniser: { url }, reply: { person: 'redact' } }, /^scrub\.reply\.person: /],
  ])('%j has a fault', (scrub, fault) => {
    expect(checked(scrub).faults).toEqual([expect.stringMatching(fault)]);
  });

  test.each([
    { recogniser: { url }, request: person },
    { recogniser: { url: 'https://presidio.internal' }, tenants: { a: { request: person } } },
    { request: { person: 'off' } },
  ])('%j has none', (scrub) => {
    expect(checked(scrub)).toEqual({ faults: [], warnings: [] });
  });

  test('texts in the clear on their way to another machine are warned of', () => {
    expect(checked({ recogniser: { url: 'http://presidio:5002' } }).warnings).toEqual([
      'scrub.recogniser.url: texts of requests are sent unencrypted: use https, or 127.0.0.1',
    ]);
  });
});
