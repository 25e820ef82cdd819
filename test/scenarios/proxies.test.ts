/**
 * The raw requests of test/raw behind real proxies. A proxy may refuse what Sidegate reads, and write anew what it
 * passes on; but both must agree on where each request and each reply ends.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cases } from '../raw/cases.ts';
import { type Found, sendCase, startProvider } from '../raw/exchange.ts';
import { expected, prompts } from '../raw/requests.ts';
import { chainConfig } from '../support/chain.ts';
import { proxyNames, type RunningProxy, startProxy } from '../support/proxies.ts';
import { openaiWire } from '../support/replies.ts';
import { startTestSidecar, type TestSidecar } from '../support/sidecar.ts';
import type { Upstream } from '../support/upstream.ts';

let upstream: Upstream;
let sidecar: TestSidecar;
beforeAll(async () => {
  upstream = await startProvider();
  sidecar = await startTestSidecar(chainConfig(openaiWire, [upstream.baseUrl]));
});
afterAll(async () => {
  await sidecar.stop();
  await upstream.close();
});

/** What shows that proxy and sidecar read different requests; empty: they agree. */
function disagreement({ statuses, rest, asked }: Found, may: readonly string[]): string {
  // A proxy answers HTTP/0.9 without a head, and HTTP/2 in its frames.
  const isOther = statuses.length === 0 && asked.length === 0;
  if (rest !== '' && !isOther) return `bytes that are no reply: ${JSON.stringify(rest.slice(0, 80))}`;
  if (asked.includes(prompts.smuggled)) return 'a body was read as a request';
  if (new Set(asked).size !== asked.length) return 'a request was sent twice';
  if (asked.some((each) => !may.includes(each))) return `asked for ${asked.join(', ')}`;
  const answered = statuses.filter((status) => status === 200).length;
  return answered === asked.length ? '' : `${asked.length} calls and ${answered} answers`;
}

describe.each(proxyNames)('behind %s', (name) => {
  let proxy: RunningProxy;
  beforeAll(async () => {
    proxy = await startProxy(name, sidecar.url);
  });
  afterAll(() => proxy.stop());

  test.each(cases)('$clause: $name', async (one) => {
    const found = await sendCase(proxy.url, upstream, one);
    const { asked } = expected(one.verdict);
    // What a proxy has written anew, Sidegate may accept.
    expect(disagreement(found, [...asked, prompts.first, prompts.next])).toBe('');
  });

  test('a request that both read is served', async () => {
    const [good] = cases;
    if (good === undefined) throw new Error('no cases');
    const found = await sendCase(proxy.url, upstream, good);
    expect([found.statuses, found.asked]).toEqual([
      [200, 200],
      [prompts.first, prompts.next],
    ]);
  });
});
