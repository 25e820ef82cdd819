/** What `sidegate check` says of keys, issuers and the admin token. */
import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';

const sha256 = createHash('sha256').update('k').digest('hex');
const key = { id: 'a', sha256, tenant: 'acme' };
const issuer = { id: 'idp', issuer: 'https://idp.example', audience: ['sidegate'], tenant: 'acme' };
const { tenant: _, ...tenantless } = issuer;

function checked(authenticate: object, more: object = {}): { faults: string[]; warnings: string[] } {
  const text = JSON.stringify({
    authenticate,
    providers: { sim: { preset: 'simulator' } },
    routes: [{ model: 'sim', targets: [{ provider: 'sim' }] }],
    ...more,
  });
  const result = parseConfig(text, {}, () => 'a secret from a file\n');
  const lines = (list: typeof result.warnings) => list.map(({ path, message }) => `${path}: ${message}`);
  return { faults: result.ok ? [] : lines(result.faults), warnings: lines(result.warnings) };
}

describe('a valid configuration', () => {
  test.each([
    ['an issuer alone', { oidc: [issuer] }, {}],
    [
      'claims that lead inwards',
      { oidc: [{ ...tenantless, claims: { tenant: ['a', 'b'], tags: 'scope' } }] },
      {},
    ],
    [
      'a key with everything',
      { keys: [{ ...key, user: 'ann', userHeader: 'none', endpoints: ['chat'] }] },
      {},
    ],
    [
      'a key that ends',
      { keys: [{ ...key, userHeader: 'X-User', expires: '2099-01-01T00:00:00+02:00' }] },
      {},
    ],
    ['keys that are yet to be made', {}, { store: { path: '/tmp/store.db' }, admin: { token: 'file:/x' } }],
    ['a gateway that observes', {}, { mode: 'observe' }],
  ])('%s', (_name, authenticate, more) => {
    expect(checked(authenticate, more)).toEqual({ faults: [], warnings: [] });
  });
});

describe('a fault', () => {
  test.each([
    [{}, 'authenticate: nobody may call'],
    [{ oidc: [] }, 'authenticate: nobody may call'],
    [
      { keys: [{ ...key, user: 'ann', userHeader: 'x-user' }] },
      'authenticate.keys[0].userHeader: has no effect',
    ],
    [
      { keys: [{ ...key, userHeader: 'authorization' }] },
      'authenticate.keys[0].userHeader: cannot be used to name a user',
    ],
    [
      { keys: [{ ...key, userHeader: 'API-Key' }] },
      'authenticate.keys[0].userHeader: cannot be used to name a user',
    ],
    [
      { keys: [{ ...key, userHeader: 'x-sidegate-tags' }] },
      'authenticate.keys[0].userHeader: cannot be used to name a user',
    ],
    [
      { keys: [{ ...key, userHeader: 'a b' }] },
      'authenticate.keys[0].userHeader: cannot be used to name a user',
    ],
    [{ keys: [{ ...key, expires: 'tomorrow' }] }, 'authenticate.keys[0].expires: must be a time such as'],
    [
      { keys: [{ ...key, endpoints: ['chats'] }] },
      'authenticate.keys[0].endpoints[0]: "chats" is not one of',
    ],
    [{ oidc: [tenantless] }, 'authenticate.oidc[0]: needs a tenant'],
    [{ oidc: [{ ...issuer, claims: { tenant: 'a' } }] }, 'authenticate.oidc[0]: has both'],
    [{ oidc: [{ ...issuer, issuer: 'idp.example' }] }, 'authenticate.oidc[0].issuer: must be a URL'],
    [{ oidc: [{ ...issuer, jwksUrl: 'ftp://idp.example' }] }, 'authenticate.oidc[0].jwksUrl: must be a URL'],
    [{ oidc: [{ ...issuer, audience: [] }] }, 'authenticate.oidc[0].audience: must have at least 1'],
    [
      { oidc: [{ ...issuer, algorithms: ['none'] }] },
      'authenticate.oidc[0].algorithms[0]: "none" is not one of',
    ],
    [
      { oidc: [{ ...issuer, algorithms: ['HS256'] }] },
      'authenticate.oidc[0].algorithms[0]: "HS256" is not one of',
    ],
    [{ oidc: [issuer, { ...issuer, id: 'b' }] }, 'authenticate.oidc[1].issuer: is listed twice'],
    [
      { keys: [key], oidc: [{ ...issuer, id: 'a' }] },
      'authenticate.oidc[0].id: duplicate of the id at authenticate.keys[0].id',
    ],
    [{ keys: [key, { ...key, id: 'b' }] }, 'authenticate.keys[1].sha256: duplicate of the key at'],
  ])('%j', (authenticate, fault) => {
    expect(checked(authenticate).faults).toEqual([expect.stringContaining(fault)]);
  });

  test('of an admin token that can be guessed, without showing it', () => {
    const { faults } = checked({ keys: [key] }, { admin: { token: 'hunter2' } });
    expect(faults).toEqual(['admin.token: must have at least 16 characters']);
  });
});

test('a warning of a key that has expired, and of public keys fetched without TLS', () => {
  const ended = checked({ keys: [{ ...key, expires: '2020-01-01T00:00:00Z' }] });
  expect(ended.warnings).toEqual(['authenticate.keys[0].expires: is in the past: the key is refused']);
  const plain = checked({ oidc: [{ ...issuer, issuer: 'http://idp.internal' }] });
  expect(plain.warnings).toEqual([
    expect.stringContaining('authenticate.oidc[0].issuer: the keys that verify tokens'),
  ]);
  const fetched = { ...issuer, issuer: 'http://idp.internal', jwksUrl: 'https://idp.internal/keys' };
  expect(checked({ oidc: [fetched] }).warnings).toEqual([]);
});
