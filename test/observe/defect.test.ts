/** What the log says of a defect: where it is, and nothing of what was asked. */
import { expect, onTestFinished, test } from 'vitest';
import { ask } from '../support/client.ts';
import { startTestSidecar } from '../support/sidecar.ts';

test('a defect is told by its place, without its message, which may quote the request', async () => {
  const secret = '4111 1111 1111 1111';
  const sidecar = await startTestSidecar(
    {
      providers: { own: { dialect: 'openai', baseUrl: 'http://127.0.0.1:9/v1', apiKey: 'k' } },
      routes: [
        { model: 'm', strategy: 'weighted', targets: [{ provider: 'own' }, { provider: 'own', model: 'n' }] },
      ],
    },
    {
      random() {
        throw new TypeError(secret);
      },
    },
  );
  onTestFinished(() => sidecar.stop());
  const body = { model: 'm', messages: [{ role: 'user', content: secret }] };
  const reply = await ask(sidecar.url, '/v1/chat/completions', { body });
  expect(reply.status).toBe(500);
  const text = sidecar.logText();
  expect(text).toMatch(/"stack":"TypeError\\n {4}at .*defect\.test\.ts/);
  expect(text + reply.text).not.toContain(secret);
});
