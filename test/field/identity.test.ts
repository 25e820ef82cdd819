/** Names of identities as the standards have them: FIELD row B12. */
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { claimName, userPattern } from '../../src/authenticate/names.ts';
import { ask } from '../support/client.ts';
import { makeSigningKey, startIssuer } from '../support/issuer.ts';
import { startTestSidecar } from '../support/sidecar.ts';

test.each([
  ['ann@example.com', 'ann@example.com'],
  ['auth0|5f7c8ec7c33c6c004bbafe82', 'auth0%7C5f7c8ec7c33c6c004bbafe82'],
  ['google-oauth2|1', 'google-oauth2%7C1'],
  ['CN=Ann, O=Acme', 'CN%3DAnn%2C%20O%3DAcme'],
  ['Jörg', 'J%C3%B6rg'],
  ['Acme Inc', 'Acme%20Inc'],
  ['a%20b', 'a%2520b'],
])('B12: %s is %s', (text, name) => {
  expect(claimName(text)).toBe(name);
});

test('B12: any name is safe in a header and a label, and no two are the same', () => {
  const text = fc.string({ minLength: 1, maxLength: 400, unit: 'binary' });
  fc.assert(
    fc.property(text, text, (a, b) => {
      const [first, second] = [claimName(a), claimName(b)];
      expect(first).toMatch(/^[\w.:@/+%~-]{1,128}$/);
      expect(first === second).toBe(a.toWellFormed() === b.toWellFormed());
    }),
  );
  expect([claimName(''), claimName('x'.repeat(1025))]).toEqual([null, null]);
  expect(userPattern.test(claimName('x'.repeat(1024)) ?? '')).toBe(false);
});

test('B12: a token with any subject is accepted, and its user is counted and logged by a safe name', async () => {
  const key = await makeSigningKey('a');
  const issuer = await startIssuer(key);
  const sidecar = await startTestSidecar({
    authenticate: { anonymousTenant: undefined, oidc: [issuer.entry()] },
    providers: { sim: { preset: 'simulator' } },
    routes: [{ model: 'sim', targets: [{ provider: 'sim' }] }],
    limits: [{ name: 'each', per: ['user'], capacity: 1, refillPerSecond: 0.001 }],
  });
  onTestFinished(async () => {
    await sidecar.stop();
    await issuer.stop();
  });
  await issuer.fetched(1);
  const body = { model: 'sim', messages: [{ role: 'user', content: 'Hi' }] };
  for (const sub of ['auth0|5f7c8ec7', 'CN=Ann, O=Acme', 'Jörg']) {
    const headers = { authorization: `Bearer ${await issuer.token(key, { sub })}` };
    const statuses = [];
    for (let i = 0; i < 2; i++)
      statuses.push((await ask(sidecar.url, '/v1/chat/completions', { body, headers })).status);
    expect(statuses).toEqual([200, 429]);
    const { user } = await sidecar.recordWhere((record) => record.user === claimName(sub));
    expect(sidecar.logText()).toContain(`"user":"${user}"`);
  }
});
