/** Providers over reloads: a configuration is adopted whole, or not at all. */
import { expect, onTestFinished, test } from 'vitest';
import { silent } from '../../src/base/telemetry.ts';
import { realWorld } from '../../src/base/world.ts';
import { configSchema } from '../../src/config/schema.ts';
import { createUpstreams } from '../../src/upstream/upstreams.ts';
import type { ConfigInput } from '../support/sidecar.ts';

const configOf = (providers: ConfigInput['providers']) => configSchema.parse({ providers });

test('where one provider can not be opened, the others stay as they were', async () => {
  const upstreams = createUpstreams(realWorld, silent);
  onTestFinished(() => upstreams.close());
  const own = { dialect: 'openai' as const, baseUrl: 'http://127.0.0.1:9/v1' };
  const before = await upstreams.update(configOf({ kept: own, gone: own }));
  const changed = { ...own, baseUrl: 'http://127.0.0.1:10/v1' };
  // The checks of a configuration refuse one without an address; another may fail by what the machine lacks.
  const next = configOf({ kept: changed, added: own, faulty: { dialect: 'openai' } });
  await expect(upstreams.update(next)).rejects.toThrow('faulty');
  expect(['kept', 'gone', 'added'].map((name) => upstreams.provider(name))).toEqual([
    before.get('kept'),
    before.get('gone'),
    undefined,
  ]);
});
