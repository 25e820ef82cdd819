/** Tokens that don't name their key, as RFC 7515 allows: FIELD row B24. */
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { ask } from '../support/client.ts';
import { makeSigningKey, type SigningKey, startIssuer } from '../support/issuer.ts';
import { startTestSidecar } from '../support/sidecar.ts';

const noKid = { kid: undefined };
let [a, b, c]: SigningKey[] = [];
beforeAll(async () => {
  [a, b, c] = await Promise.all(['a', 'b', 'c'].map((kid) => makeSigningKey(kid)));
});

/** An issuer that lists these keys, with or without their names. */
async function start(keys: readonly (SigningKey | undefined)[], named: boolean, cooldownMs: number) {
  const listed = (given: readonly (SigningKey | undefined)[]) =>
    given.flatMap((key) => {
      if (key === undefined) return [];
      const { kid: _, ...jwk } = key.publicJwk;
      return [named ? key.publicJwk : jwk];
    });
  const issuer = await startIssuer();
  issuer.keys = listed(keys);
  const sidecar = await startTestSidecar({
    authenticate: {
      anonymousTenant: undefined,
      oidc: [issuer.entry({ cooldownMs, waitMs: cooldownMs > 1000 ? 50 : 5000 })],
    },
    providers: { sim: { preset: 'simulator' } },
    routes: [{ model: 'sim', targets: [{ provider: 'sim' }] }],
  });
  onTestFinished(async () => {
    await sidecar.stop();
    await issuer.stop();
  });
  await issuer.fetched(1);
  let tokens = 0;
  const call = async (key: SigningKey | undefined): Promise<string> => {
    if (key === undefined) throw new Error('no key');
    const token = await issuer.token(key, { jti: `${tokens++}` }, noKid);
    const body = { model: 'sim', messages: [{ role: 'user', content: 'Hi' }] };
    const headers = { authorization: `Bearer ${token}` };
    const { status, text } = await ask(sidecar.url, '/v1/chat/completions', { body, headers });
    return status === 200 ? 'ok' : JSON.parse(text).error.code;
  };
  return {
    issuer,
    call,
    replace: (...next: (SigningKey | undefined)[]) => {
      issuer.keys = listed(next);
    },
  };
}

test.each([true, false])(
  'B24: each of several keys is tried, named or not (%s), without a fetch',
  async (named) => {
    const { issuer, call } = await start([a, b], named, 100);
    expect([await call(a), await call(b), await call(a)]).toEqual(['ok', 'ok', 'ok']);
    expect(issuer.fetches).toBe(1);
  },
);

test('B24: a key without a name that was replaced is fetched at once', async () => {
  const { issuer, call, replace } = await start([a], false, 100);
  expect(await call(a)).toBe('ok');
  replace(b);
  expect(await call(b)).toBe('ok');
  expect(issuer.fetches).toBe(2);
  expect(await call(a)).toBe('token_signature');
});

test('B24: tokens of a stranger cause no more fetches than the cooldown allows', async () => {
  const { issuer, call } = await start([a, b], false, 600_000);
  const codes = await Promise.all(Array.from({ length: 20 }, () => call(c)));
  expect(new Set(codes)).toEqual(new Set(['token_signature']));
  expect(await call(a)).toBe('ok');
  expect(issuer.fetches).toBe(1);
});
