/** Large bodies are worked on in threads: what a thread does wrong is our fault, and nobody waits for one too long. */
import { EventEmitter } from 'node:events';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import type { Job, JobResult } from '../../src/base/aside.ts';
import type { Thread } from '../../src/base/world.ts';
import { ask } from '../support/client.ts';
import { startTestSidecar, type TestSidecar } from '../support/sidecar.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';

/** A thread that fails on every reply, and never comes to an end with anything else. */
class BadThread extends EventEmitter {
  postMessage({ module }: Job): void {
    const failed: JobResult = { kind: 'failed', error: 'TypeError' };
    if (module.includes('translate-reply')) setImmediate(() => this.emit('message', failed));
  }
  async terminate(): Promise<number> {
    return 0;
  }
  unref(): void {}
}

let upstream: Upstream;
let sidecar: TestSidecar;
beforeAll(async () => {
  upstream = await startUpstream();
  const { baseUrl } = upstream;
  sidecar = await startTestSidecar(
    {
      providers: { openai: { dialect: 'openai', baseUrl, apiKey: 'k' } },
      routes: [{ model: 'm', targets: [{ provider: 'openai' }] }],
      attempt: { breaker: { failures: 2 } },
      cache: { enabled: false },
    },
    { startThread: () => new BadThread() as never },
  );
});
afterAll(async () => {
  await sidecar.stop();
  await upstream.close();
});

const body = { model: 'm', max_tokens: 9, messages: [{ role: 'user', content: 'Hi' }] };
const replyOf = (content: string): string => {
  const message = { role: 'assistant', content };
  return JSON.stringify({ id: 'i', model: 'm', choices: [{ index: 0, message, finish_reason: 'stop' }] });
};

test('a defect in a thread is an error of ours: the provider is neither blamed nor asked again', async () => {
  upstream.answer((call) =>
    call.whole(200, { 'content-type': 'application/json' }, replyOf('x'.repeat(100_000))),
  );
  for (let i = 0; i < 3; i++) {
    const reply = await ask(sidecar.url, '/v1/messages', { body });
    expect(reply.status).toBe(500);
    expect(reply.text).toContain('Sidegate failed on the provider');
    expect(reply.text).not.toContain('malformed');
  }
  expect(upstream.calls).toHaveLength(3);
  expect(sidecar.logText().split('work aside failed: TypeError')).toHaveLength(4);
  // After two failures of the provider it would be left alone.
  upstream.answer((call) => call.whole(200, { 'content-type': 'application/json' }, replyOf('Hi')));
  expect((await ask(sidecar.url, '/v1/messages', { body })).status).toBe(200);
});

test('a thread is waited for until the deadline of the request', async () => {
  const long = { ...body, messages: [{ role: 'user', content: 'x'.repeat(100_000) }] };
  const headers = { 'x-sidegate-timeout': '200' };
  const reply = await ask(sidecar.url, '/v1/messages', { body: long, headers });
  expect(reply.status).toBe(503);
  expect(reply.text).toContain('Too many large requests');
});

const large = [
  ['100 KB of prose', 'Nothing but words, as a letter has them. '.repeat(2500), 'at once'],
  ['150 KB of prose', 'Nothing but words, as a letter has them. '.repeat(3700), 'in a thread'],
  ['12 KB of digits', '1/'.repeat(6000), 'at once'],
  ['40 KB of digits', '1/'.repeat(20_000), 'in a thread'],
  ['60 KB of Chinese', '\u4f60\u597d'.repeat(10_000), 'at once'],
  ['70 KB of Chinese', '\u4f60\u597d'.repeat(11_700), 'in a thread'],
] as const;

test.each(large)('%s are inspected $2', async (_, content, where) => {
  const inspected: string[] = [];
  const failing = (): Thread => {
    const thread = new EventEmitter();
    const postMessage = ({ module }: Partial<Job>): void => {
      // Tokens are counted in a thread too.
      if (module?.includes('inspect/request') !== true) return;
      inspected.push(module);
      setImmediate(() => thread.emit('message', { kind: 'failed', error: 'TypeError' }));
    };
    return Object.assign(thread, { postMessage, unref() {}, terminate: async () => 0 }) as never;
  };
  upstream.answer((call) => call.whole(200, { 'content-type': 'application/json' }, replyOf('Hi')));
  const own = await startTestSidecar(
    {
      providers: { openai: { dialect: 'openai', baseUrl: upstream.baseUrl, apiKey: 'k' } },
      routes: [{ model: 'm', targets: [{ provider: 'openai' }] }],
      cache: { enabled: false },
    },
    { startThread: failing },
  );
  onTestFinished(() => own.stop());
  const messages = [{ role: 'user', content }];
  const { status } = await ask(own.url, '/v1/chat/completions', { body: { model: 'm', messages } });
  expect(status).toBe(where === 'at once' ? 200 : 500);
  expect(inspected).toHaveLength(where === 'at once' ? 0 : 1);
});
