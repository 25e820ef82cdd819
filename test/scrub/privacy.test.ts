/** What must never be written down: no prompt, key or reply text in a log line or metric. */
import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { chainConfig } from '../support/chain.ts';
import { ask, rawExchange, type Sending } from '../support/client.ts';
import { type Wire, wires } from '../support/replies.ts';
import { startTestSidecar, type TestSidecar } from '../support/sidecar.ts';
import { answers, type Script, startUpstream } from '../support/upstream.ts';

/** Texts that are recognised wherever they turn up. */
const marks = [
  'PROMPTMARK',
  'REPLYMARK',
  'TOOLMARK',
  'PATHMARK',
  'sk-KEYMARK',
  'sk-WRONGMARK',
  'provider-key',
  'mark@example.com',
  '4111 1111 1111 1111',
];
const prompt = 'PROMPTMARK please, mark@example.com, 4111 1111 1111 1111';

/** Replies good and bad, all with marks in them. */
const replies = (wire: Wire): readonly Script[] => [
  answers(wire, 'REPLYMARK one'),
  answers(wire, 'REPLYMARK', ' two'),
  (call) => call.whole(400, {}, wire.error(400, 'REPLYMARK PROMPTMARK').body),
  (call) => call.whole(500, {}, 'REPLYMARK'),
  (call) => call.whole(200, {}, 'REPLYMARK is no JSON'),
  (call) => {
    call.streamHead();
    call.write(wire.opening + wire.toolBegins + wire.toolArguments('TOOLMARK'));
    call.end(wire.errorEvent('REPLYMARK'));
  },
  (call) => call.whole(401, {}, wire.error(401, 'Incorrect API key provided: provider-key').body),
];

/** Requests that are refused, with marks where things go wrong. */
const refused = (wire: Wire, key: Readonly<Record<string, string>>): readonly Sending[] => [
  { body: wire.request(prompt), headers: { ...key, authorization: 'Bearer sk-WRONGMARK' } },
  { body: '{"PROMPTMARK": ', headers: key },
  { body: wire.request(prompt, { model: 'PROMPTMARK model' }), headers: key },
  { body: wire.request(prompt, { stream: 'PROMPTMARK' }), headers: key },
  { body: wire.request(prompt), headers: { ...key, 'x-sidegate-user': 'PROMPTMARK PROMPTMARK' } },
  { body: wire.request(`${prompt} again`), headers: { ...key, 'idempotency-key': 'k-0' } },
];

async function sendAll(wire: Wire, sidecar: TestSidecar): Promise<number[]> {
  const version: Record<string, string> =
    wire.name === 'anthropic' ? { 'anthropic-version': '2023-06-01' } : {};
  const key = { authorization: 'Bearer sk-KEYMARK', ...version };
  const statuses: number[] = [];
  for (const [index] of replies(wire).entries()) {
    const body = wire.request(prompt, { stream: index === 1 || index === 5 });
    const headers = { ...key, 'idempotency-key': `k-${index}` };
    statuses.push((await ask(sidecar.url, wire.path, { body, headers })).status);
  }
  for (const sending of refused(wire, key))
    statuses.push((await ask(sidecar.url, wire.path, sending)).status);
  statuses.push((await ask(sidecar.url, '/v1/PATHMARK', { headers: key })).status);
  await rawExchange(sidecar.url, 'PROMPTMARK garbage\r\n\r\n');
  return statuses;
}

test.each(wires)('$name: no prompt, key or reply text is in a log line or metric', async (wire) => {
  const upstream = await startUpstream(...replies(wire));
  const sha256 = createHash('sha256').update('sk-KEYMARK').digest('hex');
  const sidecar = await startTestSidecar(
    chainConfig(wire, [upstream.baseUrl], {
      authenticate: { keys: [{ id: 'marked', sha256, tenant: 'acme' }] },
      attempt: { breaker: { failures: 99 } },
    }),
  );
  const statuses = await sendAll(wire, sidecar);
  const metrics = await sidecar.metrics();
  await sidecar.stop();
  await upstream.close();
  // Each went the way it was meant to go, so that every kind of line was written.
  expect(statuses).toEqual([200, 200, 400, 503, 502, 200, 502, 401, 400, 404, 400, 400, 422, 404]);
  expect(sidecar.records().length).toBeGreaterThanOrEqual(statuses.length);
  expect(upstream.calls.some(({ body }) => body.includes('PROMPTMARK'))).toBe(true);
  for (const mark of marks) {
    expect(sidecar.logText()).not.toContain(mark);
    expect(metrics).not.toContain(mark);
  }
});
