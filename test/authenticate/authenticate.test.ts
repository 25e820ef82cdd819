/** Stage authenticate: who calls, and which models they may use. */
import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { authenticate, denyModel } from '../../src/authenticate/authenticate.ts';
import { createKeyring } from '../../src/authenticate/keyring.ts';
import { Refusal } from '../../src/base/errors.ts';
import { matchesPattern } from '../../src/base/pattern.ts';
import { type Config, configSchema } from '../../src/config/schema.ts';
import { presentedKey } from '../../src/exchange/credential.ts';
import type { Identity } from '../../src/exchange/identity.ts';
import { sampleIdentity } from '../support/samples.ts';

const secret = 'sk-sidegate-acme-1';
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

type Input = Parameters<typeof configSchema.parse>[0];
const settings = (authenticate: Input): Config['authenticate'] =>
  configSchema.parse({ authenticate }).authenticate;

const keys = [
  {
    id: 'acme-1',
    sha256: sha256(secret),
    tenant: 'acme',
    team: 'web',
    tags: ['prod'],
    models: ['gpt-*', 'exact'],
  },
  { id: 'beta-1', sha256: sha256('sk-beta'), tenant: 'beta', user: 'fixed' },
];
const closed = createKeyring(settings({ keys }));
const open = createKeyring(settings({ keys, anonymousTenant: 'local' }));

const as = (headers: IncomingHttpHeaders, keyring = closed): Identity => {
  const result = authenticate(headers, keyring);
  if (result instanceof Promise) throw new Error('no token');
  if (result instanceof Refusal) throw new Error(`refused: ${result.code}`);
  return result;
};
const refused = (headers: IncomingHttpHeaders, keyring = closed): string => {
  const result = authenticate(headers, keyring);
  return result instanceof Refusal ? result.code : 'admitted';
};

describe('keys', () => {
  test.each([
    ['Authorization: Bearer', { authorization: `Bearer ${secret}` }],
    ['lower case and more spaces', { authorization: `bearer   ${secret}` }],
    ['x-api-key', { 'x-api-key': secret }],
    ['both, the same', { authorization: `Bearer ${secret}`, 'x-api-key': secret }],
    ['api-key', { 'api-key': secret }],
    ["api-key and a token, as Azure's Python SDK", { authorization: `Bearer ${secret}`, 'api-key': secret }],
  ])('%s is known', (_, headers) => {
    expect(as(headers)).toEqual({
      tenant: 'acme',
      team: 'web',
      user: null,
      keyId: 'acme-1',
      tags: ['prod'],
      models: ['gpt-*', 'exact'],
      endpoints: null,
      limits: [],
      observed: null,
      ownCredential: false,
    });
  });

  test('without a key: a 401 that says so, or the anonymous tenant', () => {
    expect(refused({})).toBe('missing_key');
    expect(refused({ 'x-api-key': '' })).toBe('missing_key');
    expect(as({}, open)).toEqual(sampleIdentity({ tenant: 'local' }));
  });

  test('an unknown key: 401, or the anonymous tenant, since a provider may know it', () => {
    expect(refused({ authorization: 'Bearer other' })).toBe('wrong_key');
    expect(refused({ authorization: `Bearer ${sha256(secret)}` })).toBe('wrong_key');
    expect(refused({ authorization: `Basic ${secret}` })).toBe('wrong_key');
    expect(as({ authorization: 'Bearer other' }, open).keyId).toBeNull();
  });

  test('a key that is much too long is not even digested', () => {
    const long = 'k'.repeat(4097);
    const keyring = createKeyring(settings({ keys: [{ id: 'long', sha256: sha256(long), tenant: 'acme' }] }));
    expect(refused({ 'x-api-key': long }, keyring)).toBe('wrong_key');
  });

  test('two different keys in one request are refused, even when one is known', () => {
    expect(refused({ authorization: `Bearer ${secret}`, 'x-api-key': 'sk-beta' })).toBe('invalid_header');
    expect(refused({ authorization: 'Bearer x', 'x-api-key': secret }, open)).toBe('invalid_header');
    expect(refused({ authorization: `Bearer ${secret}`, 'api-key': 'sk-beta' })).toBe('invalid_header');
    expect(refused({ 'x-api-key': secret, 'api-key': 'sk-beta' })).toBe('invalid_header');
    expect(refused({ 'x-goog-api-key': 'x', 'api-key': secret }, open)).toBe('invalid_header');
  });

  test('only the exact key passes', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 64 }), (guess) => {
        fc.pre(!['', secret, 'sk-beta'].includes(guess.trim()));
        expect(refused({ authorization: `Bearer ${guess}` })).toBe('wrong_key');
      }),
    );
  });

  test('the keyring holds digests only', () => {
    expect(JSON.stringify([...closed.byDigest])).not.toContain(secret);
  });

  test('presentedKey returns the credential as sent', () => {
    expect(presentedKey({ authorization: 'Bearer abc' })).toBe('abc');
    expect(presentedKey({ 'x-api-key': 'abc' })).toBe('abc');
    expect(presentedKey({})).toBeNull();
  });

  test.each(['Bearer', 'Bearer ', 'bearer', ''])(
    'the header "Authorization: %s" of an app without its key carries none',
    (it) => {
      expect(refused({ authorization: it })).toBe('missing_key');
      expect(presentedKey({ authorization: it, 'x-api-key': 'abc' })).toBe('abc');
    },
  );
});

describe('user and tags from headers', () => {
  test('fill in what the key leaves open', () => {
    const { user, tags } = as({
      'x-api-key': secret,
      'x-sidegate-user': 'ann@x',
      'x-sidegate-tags': 'a, b:c',
    });
    expect(user).toBe('ann@x');
    expect(tags).toEqual(['prod', 'a', 'b:c']);
  });

  test("never override the key's user", () => {
    expect(as({ 'x-api-key': 'sk-beta', 'x-sidegate-user': 'ann' }).user).toBe('fixed');
  });

  test('apply to the anonymous tenant too', () => {
    expect(as({ 'x-sidegate-user': 'ann' }, open)).toEqual(sampleIdentity({ tenant: 'local', user: 'ann' }));
  });

  test.each([
    ['empty user', { 'x-sidegate-user': '' }],
    ['user with a line', { 'x-sidegate-user': 'a b' }],
    ['user beyond ASCII', { 'x-sidegate-user': 'é' }],
    ['long user', { 'x-sidegate-user': 'u'.repeat(129) }],
    ['empty tag', { 'x-sidegate-tags': 'a,,b' }],
    ['17 tags', { 'x-sidegate-tags': Array.from({ length: 17 }, (_, i) => `t${i}`).join(',') }],
  ])('%s is refused', (_, headers: IncomingHttpHeaders) => {
    expect(refused(headers, open)).toBe('invalid_header');
  });
});

describe('models', () => {
  test('patterns', () => {
    expect(matchesPattern('gpt-*', 'gpt-4o')).toBe(true);
    expect(matchesPattern('gpt-*', 'gpt-')).toBe(true);
    expect(matchesPattern('gpt-*', 'gpt')).toBe(false);
    expect(matchesPattern('exact', 'exact')).toBe(true);
    expect(matchesPattern('exact', 'exact2')).toBe(false);
    expect(matchesPattern('*', 'anything')).toBe(true);
  });

  test('a key may use the models it lists; without a list, all', () => {
    const identity = as({ 'x-api-key': secret });
    expect(denyModel(identity, 'gpt-4o')).toBeNull();
    expect(denyModel(identity, 'exact')).toBeNull();
    expect(denyModel(identity, 'claude-x')?.code).toBe('model_forbidden');
    expect(denyModel(as({ 'x-api-key': 'sk-beta' }), 'claude-x')).toBeNull();
  });
});
