/** A whole reply in another dialect than the configured one is invalid, so the next target is asked. */
import { expect, test } from 'vitest';
import { ask } from '../support/client.ts';
import { startTestSidecar } from '../support/sidecar.ts';

const cases = [
  { preset: 'simulator', path: '/v1/chat/completions', mark: 'choices' },
  { preset: 'simulator-anthropic', path: '/v1/messages', mark: 'content' },
  { preset: 'simulator-gemini', path: '/v1beta/models/m:generateContent', mark: 'candidates' },
];

test.each(cases)('$preset', async ({ preset, path, mark }) => {
  const sidecar = await startTestSidecar({
    providers: {
      wrong: { preset, simulate: { fault: 'wrong_dialect' } },
      good: { preset },
    },
    routes: [{ model: 'm', targets: [{ provider: 'wrong' }, { provider: 'good' }] }],
    attempt: { retriesMax: 0 },
  });
  const messages = [{ role: 'user', content: 'Hello' }];
  const body =
    mark === 'candidates'
      ? { contents: [{ role: 'user', parts: [{ text: 'Hello' }] }] }
      : { model: 'm', max_tokens: 16, messages };
  const { status, headers, text } = await ask(sidecar.url, path, { body });
  await sidecar.stop();
  expect(status).toBe(200);
  expect(JSON.parse(text)).toHaveProperty(mark);
  expect(headers['x-sidegate-target']).toBe('good/m');
});
