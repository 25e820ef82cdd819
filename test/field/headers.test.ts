/** Each header of a call has one owner: FIELD rows B13 and B26. */
import { expect, onTestFinished, test } from 'vitest';
import { configSchema } from '../../src/config/schema.ts';
import { ask } from '../support/client.ts';
import { geminiWire } from '../support/gemini-wire.ts';
import { anthropicWire, openaiWire, type Wire } from '../support/replies.ts';
import { startTestSidecar } from '../support/sidecar.ts';
import { answers, startUpstream } from '../support/upstream.ts';

/** The headers that the provider got, as names and values in order of arrival. */
async function received(wire: Wire, provider: object, headers: Readonly<Record<string, string>>) {
  const upstream = await startUpstream(answers(wire, 'good'));
  const sidecar = await startTestSidecar({
    providers: { p: { dialect: wire.name, baseUrl: upstream.baseUrl, ...provider } },
    routes: [{ model: '*', targets: [{ provider: 'p' }] }],
  });
  onTestFinished(async () => {
    await sidecar.stop();
    await upstream.close();
  });
  expect((await ask(sidecar.url, wire.path, { body: wire.request('hi'), headers })).status).toBe(200);
  return (await upstream.call(0)).headers;
}

test('B13: a header that the configuration sets is sent alone', async () => {
  const got = await received(
    openaiWire,
    { headers: { 'OpenAI-Organization': 'org-A' }, credential: 'client' },
    { authorization: 'Bearer k', 'openai-organization': 'org-B', 'openai-project': 'proj-B' },
  );
  // Node joins what comes twice.
  expect([got['openai-organization'], got['openai-project']]).toEqual(['org-A', 'proj-B']);
});

test.each([
  [openaiWire, ['openai-organization', 'openai-project']],
  [geminiWire, ['x-goog-user-project']],
  [anthropicWire, ['anthropic-workspace-id', 'anthropic-user-profile-id']],
] as const)(
  'H17: an app decides whom its own key bills, and the configuration the gateway’s: $0.name',
  async (wire, names) => {
    const billing = Object.fromEntries(names.map((name) => [name, 'theirs']));
    const sent = async (provider: object, key = {}) => {
      const got = await received(wire, provider, { ...billing, ...key });
      return names.map((name) => got[name]);
    };
    expect(await sent({ apiKey: 'k' })).toEqual(names.map(() => undefined));
    expect(await sent({ apiKey: 'k', passHeaders: [...names] })).toEqual(names.map(() => 'theirs'));
    expect(await sent({ credential: 'client' }, { authorization: 'Bearer k' })).toEqual(
      names.map(() => 'theirs'),
    );
  },
);

test('B13: features of the operator and the app are joined', async () => {
  const got = await received(
    anthropicWire,
    { headers: { 'anthropic-beta': 'a-1, b-2' } },
    { 'anthropic-beta': 'b-2,c-3' },
  );
  expect(got['anthropic-beta']).toBe('a-1,b-2,c-3');
});

test("B26: the app's own headers are passed on if the provider lists them", async () => {
  const got = await received(
    openaiWire,
    { headers: { 'x-title': 'ours' }, passHeaders: ['X-Session-Affinity', 'x-title', 'http-referer'] },
    { 'x-session-affinity': 's1', 'x-title': 'theirs', 'x-other': 'o' },
  );
  expect([got['x-session-affinity'], got['x-title'], got['x-other']]).toEqual(['s1', 'ours', undefined]);
});

test.each(['authorization', 'Content-Length', 'x-api-key', 'host', 'proxy-authorization', 'a b'])(
  'B26: %s is not passed on',
  (name) => {
    const provider = { preset: 'openai', passHeaders: [name] };
    expect(configSchema.safeParse({ providers: { p: provider } }).success).toBe(false);
  },
);
