/** What a record says of the answer: the model that the provider names, reasoning, the pace of a stream, the cache's level. */
import { expect, onTestFinished, test } from 'vitest';
import { ask } from '../support/client.ts';
import { geminiWire } from '../support/gemini-wire.ts';
import { anthropicWire, openaiWire, type Wire } from '../support/replies.ts';
import { startTestSidecar } from '../support/sidecar.ts';
import { startUpstream } from '../support/upstream.ts';

/** Where each dialect names the model, and how many tokens reasoning took. */
const stated: readonly (readonly [Wire, (reply: Record<string, object>) => object])[] = [
  [
    openaiWire,
    (reply) => ({
      ...reply,
      model: 'said-1',
      usage: { ...reply.usage, completion_tokens_details: { reasoning_tokens: 7 } },
    }),
  ],
  [
    anthropicWire,
    (reply) => ({
      ...reply,
      model: 'said-1',
      usage: { ...reply.usage, output_tokens_details: { thinking_tokens: 7 } },
    }),
  ],
  [
    geminiWire,
    (reply) => ({
      ...reply,
      modelVersion: 'said-1',
      usageMetadata: { ...reply.usageMetadata, thoughtsTokenCount: 7 },
    }),
  ],
];
const clients = [openaiWire, anthropicWire];

test.each(
  stated.flatMap(([wire, say]) =>
    clients.map((client) => [wire.name, client.name, wire, client, say] as const),
  ),
)('a reply of %s for a client of %s', async (_, _c, wire, client, say) => {
  const upstream = await startUpstream((call) =>
    call.whole(
      200,
      { 'content-type': 'application/json' },
      JSON.stringify(say(JSON.parse(wire.whole('Good')))),
    ),
  );
  const sidecar = await startTestSidecar({
    providers: { p: { dialect: wire.name, baseUrl: upstream.baseUrl } },
    routes: [{ model: '*', targets: [{ provider: 'p' }] }],
  });
  onTestFinished(async () => {
    await sidecar.stop();
    await upstream.close();
  });
  const post = (text: string) => ask(sidecar.url, client.path, { body: client.request(text) });
  for (const text of ['hi there', 'hi there', 'hi  there ']) expect((await post(text)).status).toBe(200);
  await sidecar.recordWhere(({ cacheLevel }) => cacheLevel === 'normalised');
  expect(sidecar.records().map((r) => [r.reportedModel, r.reasoningTokens, r.cache, r.cacheLevel])).toEqual([
    ['said-1', 7, 'miss', ''],
    ['', 0, 'hit', 'exact'],
    ['', 0, 'hit', 'normalised'],
  ]);
});

test.each(clients)('a stream of $name has a pace', async (wire) => {
  const upstream = await startUpstream(async (call) => {
    const [first = '', ...rest] = wire
      .stream('Good ', 'morning')
      .map((event) => event.replace(/"model":"[^"]*"/, '"model":"said-2"'));
    call.streamHead();
    call.write(first);
    for (const event of rest) call.write(event);
    call.end();
  });
  const sidecar = await startTestSidecar({
    cache: { enabled: false },
    providers: { p: { dialect: wire.name, baseUrl: upstream.baseUrl } },
    routes: [{ model: '*', targets: [{ provider: 'p' }] }],
  });
  onTestFinished(async () => {
    await sidecar.stop();
    await upstream.close();
  });
  await ask(sidecar.url, wire.path, { body: wire.request('hi', { stream: true }) });
  const { reportedModel, durationMs, ttftMs, interTokenMs, outputTokens } = await sidecar.recordWhere(
    () => true,
  );
  expect(reportedModel).toBe('said-2');
  expect(interTokenMs).toBeCloseTo((durationMs - ttftMs) / (outputTokens - 1), 2);
});
