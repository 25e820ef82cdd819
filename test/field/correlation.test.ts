/** Ids that find a request at the app and at its provider: FIELD row B21. */
import { expect, onTestFinished, test } from 'vitest';
import { ask } from '../support/client.ts';
import { anthropicWire, openaiWire, type Wire } from '../support/replies.ts';
import { startTestSidecar } from '../support/sidecar.ts';
import { startUpstream } from '../support/upstream.ts';

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';

test.each<[string, Wire, string]>([
  ['OpenAI', openaiWire, 'x-request-id'],
  ['Anthropic', anthropicWire, 'request-id'],
  ['AWS', openaiWire, 'x-amzn-requestid'],
  ['Azure', openaiWire, 'apim-request-id'],
])("B21: the log has the app's id and that of %s", async (_, wire, header) => {
  const upstream = await startUpstream((call) =>
    call.whole(200, { 'content-type': 'application/json', [header]: 'prov-1.a:b' }, wire.whole('Good')),
  );
  const sidecar = await startTestSidecar({
    providers: { p: { dialect: wire.name, baseUrl: upstream.baseUrl } },
    routes: [{ model: '*', targets: [{ provider: 'p' }] }],
  });
  onTestFinished(async () => {
    await sidecar.stop();
    await upstream.close();
  });
  const headers = { 'x-request-id': 'app-1', traceparent: `00-${traceId}-00f067aa0ba902b7-01` };
  const reply = await ask(sidecar.url, wire.path, { body: wire.request('hi'), headers });
  const record = await sidecar.recordWhere(() => true);
  expect(record).toMatchObject({
    requestId: reply.headers['x-request-id'],
    clientRequestId: 'app-1',
    providerRequestId: 'prov-1.a:b',
    traceId,
  });
  expect(upstream.calls[0]?.headers['x-request-id']).toBeUndefined();
});
