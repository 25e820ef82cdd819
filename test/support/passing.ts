/** Sidecars and requests that are only passed on to a provider. */
import { hash } from 'node:crypto';
import { onTestFinished } from 'vitest';
import type { DialectName } from '../../src/exchange/dialects.ts';
import { gives } from './auxiliary.ts';
import { ask } from './client.ts';
import type { Wire } from './replies.ts';
import { type ConfigInput, startTestSidecar } from './sidecar.ts';
import { type Script, startUpstream } from './upstream.ts';

/** A virtual key by its text, which is its id. */
export const key = (id: string, tenant: string, more: object = {}) => ({
  id,
  sha256: hash('sha256', id),
  tenant,
  ...more,
});
/** The keys of two tenants. */
export const keys = [key('k-a', 'a'), key('k-b', 'b')];

interface Setup {
  readonly dialect?: DialectName;
  readonly script?: Script;
  readonly provider?: object;
  readonly more?: ConfigInput;
  readonly second?: boolean;
}

/** A sidecar before one scripted provider, or two of them. */
export async function startPassing({
  dialect = 'openai',
  script,
  provider = {},
  more = {},
  second,
}: Setup = {}) {
  const own = script ?? gives({ id: 'obj_1', object: 'thing' });
  const upstreams = await Promise.all(
    (second === true ? [own, own] : [own]).map((each) => startUpstream(each)),
  );
  const [first, other] = upstreams.map(({ baseUrl }, at) => ({
    dialect,
    baseUrl,
    apiKey: `provider-key-${at}`,
    passthrough: 'unscrubbed' as const,
    ...provider,
  }));
  const sidecar = await startTestSidecar({
    providers: { first: first as never, ...(other === undefined ? {} : { second: other }) },
    attempt: { backoffBaseMs: 0, retriesMax: 1 },
    ...more,
  });
  onTestFinished(async () => {
    await sidecar.stop();
    await Promise.all(upstreams.map((upstream) => upstream.close()));
  });
  const asking = async (method: string, path: string, as = '', body: unknown = '', headers = {}) => {
    const credential = as === '' ? {} : { authorization: `Bearer ${as}` };
    const reply = await ask(sidecar.url, path, { method, body, headers: { ...credential, ...headers } });
    return { ...reply, json: reply.text.startsWith('{') ? JSON.parse(reply.text) : null };
  };
  const [upstream] = upstreams;
  if (upstream === undefined) throw new Error('no provider');
  return { sidecar, upstreams, upstream, asking };
}

/** A path that is only passed on. */
export const passedPath = ({ name }: Wire): string =>
  name === 'anthropic' ? '/v1/messages/batches' : name === 'responses' ? '/v1/responses/a' : '/v1/batches';

/** Settings under which it is passed on, to nobody, for callers with these keys. */
export const passing = (
  { name }: Wire,
  keys: NonNullable<ConfigInput['authenticate']>['keys'],
): ConfigInput => ({
  providers: {
    first: { dialect: name as DialectName, baseUrl: 'http://127.0.0.1:9/v1', passthrough: true },
  },
  authenticate: { keys },
});
