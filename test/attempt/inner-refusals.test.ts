/** Refusals inside an answer of status 200 keep their kind: FAULTS row 31, and C2 of the reports. */
import { describe, expect, test } from 'vitest';
import { startChain } from '../support/chain.ts';
import { anthropicWire, openaiWire, type Wire } from '../support/replies.ts';
import { responsesWire } from '../support/responses-wire.ts';
import { answers, type Call, type Script } from '../support/upstream.ts';

type Json = Readonly<Record<string, unknown>>;

const streamed =
  (event: Json): Script =>
  (call: Call) => {
    call.streamHead({ 'content-type': 'text/event-stream' });
    const bytes = Buffer.from(`event: ${String(event.type)}\ndata: ${JSON.stringify(event)}\n\n`);
    return call.writeSplit(bytes, [9, 40]).then(() => call.end());
  };
const whole =
  (body: Json): Script =>
  (call: Call) =>
    call.whole(200, { 'content-type': 'application/json' }, JSON.stringify(body));

const failed = (code: string): Json => ({
  type: 'response.failed',
  response: { id: 'r', status: 'failed', output: [], error: { code, message: 'Their words.' } },
});
const ofAnthropic = (type: string): Json => ({ type: 'error', error: { type, message: 'Their words.' } });
const ofOpenai = (code: string): Json => ({ error: { code, type: code, message: 'Their words.' } });

const wires: readonly (readonly [
  name: string,
  speaks: Wire,
  event: (word: string) => Json,
  prompt: string,
  limit: string,
])[] = [
  ['responses', responsesWire, failed, 'invalid_prompt', 'rate_limit_exceeded'],
  ['anthropic', anthropicWire, ofAnthropic, 'invalid_request_error', 'rate_limit_error'],
  ['openai', openaiWire, ofOpenai, 'invalid_request_error', 'rate_limit_exceeded'],
];

describe.each(wires)('%s', (_, speaks, event, prompt, limit) => {
  describe.each([true, false])('streamed: %s', (stream) => {
    const body = (word: string): Json => {
      const said = event(word);
      return stream || said.type !== 'response.failed' ? said : (said.response as Json);
    };
    const refuses = (word: string): Script => (stream ? streamed(body(word)) : whole(body(word)));

    test.each([speaks, openaiWire, anthropicWire])(
      'C2: a refused prompt is told once, in the provider’s words, and no breaker opens (client: $name)',
      async (client) => {
        const chain = await startChain(client, [[refuses(prompt)]], {}, {}, speaks);
        for (let n = 0; n < 2; n++) {
          const reply = await chain.ask({ stream });
          expect([reply.status, reply.text.includes('Their words.')]).toEqual([400, true]);
        }
        expect(chain.first.calls).toHaveLength(2);
        expect(await chain.breaker()).toBe('closed');
      },
    );

    test('C2: a rate limit goes to the next target, and rests the key', async () => {
      const chain = await startChain(speaks, [[refuses(limit)], [answers(speaks, 'Good')]]);
      expect((await chain.ask({ stream })).text).toContain('Good');
      expect((await chain.ask({ stream })).text).toContain('Good');
      expect(chain.first.calls).toHaveLength(1);
      expect(await chain.breaker()).toBe('closed');
    });
  });
});
