/** What providers are sent besides the body separates answers, too: the app's own headers, and those of the configuration. */
import { expect, onTestFinished, test } from 'vitest';
import { configSchema } from '../../src/config/schema.ts';
import { ask } from '../support/client.ts';
import { openaiWire } from '../support/replies.ts';
import { startTestSidecar } from '../support/sidecar.ts';
import { answers, startUpstream } from '../support/upstream.ts';

const routes = [{ model: '*', targets: [{ provider: 'p' }] }];

/** A sidecar before one provider, and how the cache answers a question. */
async function start(provider: object) {
  const upstream = await startUpstream(answers(openaiWire, 'good'));
  const configured = (more: object, unsupported: 'refuse' | 'drop' = 'refuse') => ({
    providers: { p: { dialect: 'openai' as const, baseUrl: upstream.baseUrl, ...more } },
    routes: routes.map((route) => ({ ...route, unsupported })),
    cache: { semantic: { mode: 'on' as const } },
  });
  const gate = await startTestSidecar(configured(provider));
  onTestFinished(async () => {
    await gate.stop();
    await upstream.close();
  });
  const status = async (text: string, headers: Readonly<Record<string, string>> = {}) =>
    String(
      (await ask(gate.url, openaiWire.path, { body: openaiWire.request(text), headers })).headers[
        'cache-status'
      ],
    );
  const reload = (more: object, unsupported?: 'drop') =>
    gate.sidecar.reload(
      configSchema.parse({ authenticate: { anonymousTenant: 'test' }, ...configured(more, unsupported) }),
    );
  return { status, reload };
}

const wordings = ['How can I change my shipping address?', 'How do I update my delivery address?'];

test('an answer to other headers that the provider is passed is none', async () => {
  const { status } = await start({ passHeaders: ['x-locale', 'x-base'] });
  const [first = '', other = ''] = wordings;
  expect(await status(first, { 'x-locale': 'de' })).toMatch(/miss/);
  for (const text of [first, `${first} Thanks!`, other]) {
    expect(await status(text, { 'x-locale': 'de', 'x-other': 'o' })).toMatch(/hit/);
  }
  // The value of another header, and none at all.
  expect(await status(first, { 'x-base': 'de' })).toMatch(/miss/);
  expect(await status(`${first} Thanks!`)).toMatch(/miss/);
  expect(await status(first, { 'x-locale': 'fr' })).toMatch(/miss/);
  expect(await status(other, { 'x-locale': 'it' })).toMatch(/miss/);
});

test('an answer to other headers, or another version, of the configuration is none', async () => {
  const { status, reload } = await start({ headers: { 'x-base': 'one' } });
  const [first = '', other = ''] = wordings;
  expect(await status(first)).toMatch(/miss/);
  await reload({ headers: { 'X-Base': 'one' } });
  expect(await status(other)).toMatch(/hit/);
  await reload({ headers: { 'x-base': 'two' } });
  expect(await status(other)).toMatch(/miss/);
  await reload({ headers: { 'x-base': 'two' }, apiVersion: '2' });
  expect(await status(first)).toMatch(/miss/);
});

test('an answer of a route that left fields out is none once it refuses them', async () => {
  const { status, reload } = await start({});
  await reload({}, 'drop');
  const [first = '', other = ''] = wordings;
  expect(await status(first)).toMatch(/miss/);
  expect(await status(other)).toMatch(/hit/);
  await reload({});
  expect(await status(first)).toMatch(/miss/);
});
