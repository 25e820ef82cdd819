/** A cache that is carried over a restart: what comes back, what doesn't, and what a damaged file does. */
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type SnapshotPart, takeSnapshot, writeSnapshot } from '../../src/cache/snapshot.ts';
import { ask } from '../support/client.ts';
import { wires } from '../support/replies.ts';
import { type ConfigInput, startTestSidecar, type TestSidecar } from '../support/sidecar.ts';
import { until } from '../support/until.ts';
import { answers, startUpstream } from '../support/upstream.ts';

const token = 'an-admin-token-of-a-test';
const question = 'How can I change my shipping address?';
const reworded = 'How do I update my delivery address?';

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'sidegate-snapshot-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

describe.each(wires)('over a restart, $name', (wire) => {
  async function start(cache: NonNullable<ConfigInput['cache']> = {}) {
    const snapshot = join(folder(), 'deep', 'cache.snapshot');
    const own = await startUpstream(answers(wire, 'Under Settings.'));
    onTestFinished(() => own.close());
    const run = async (): Promise<TestSidecar> => {
      const sidecar = await startTestSidecar({
        admin: { token },
        providers: { own: { dialect: wire.name, baseUrl: own.baseUrl } },
        routes: [{ model: 'any', targets: [{ provider: 'own' }] }],
        scrub: { secret: 'placeholders of all processes' },
        cache: { semantic: { mode: 'on' }, snapshot, ...cache },
      });
      let stopped: Promise<void> | null = null;
      const stop = (): Promise<void> => (stopped ??= sidecar.stop());
      onTestFinished(stop);
      return { ...sidecar, stop };
    };
    return { snapshot, own, run };
  }
  const status = async (of: TestSidecar, text: string, more = {}, tags = ''): Promise<unknown> => {
    const headers = tags === '' ? {} : { 'x-sidegate-tags': tags };
    const body = { ...wire.request(text), model: 'any', ...more };
    return (await ask(of.url, wire.path, { body, headers })).headers['cache-status'];
  };
  const logged = (of: TestSidecar, text: string): Promise<void> => until(() => of.logText().includes(text));

  test('replies, streams, questions, judgements and purges come back', async () => {
    const { snapshot, own, run } = await start();
    const one = await run();
    await status(one, question);
    await status(one, 'in a stream', { stream: true });
    await status(one, 'to be purged', {}, 'old');
    await status(one, 'purged later', {}, 'late');
    const purge = (of: TestSidecar, tag: string) =>
      fetch(`${of.adminUrl}/cache?tag=${tag}`, {
        method: 'DELETE',
        headers: { authorization: `Bearer ${token}` },
      });
    await purge(one, 'old');
    expect(await status(one, reworded)).toMatch(/semantic/);
    await one.stop();
    expect(statSync(snapshot).mode & 0o777).toBe(0o600);

    const two = await run();
    await logged(two, 'the cache begins with what an earlier process kept');
    expect(existsSync(snapshot)).toBe(false);
    const calls = own.calls.length;
    expect(await status(two, question)).toBe('sidegate; hit');
    expect(await status(two, reworded)).toMatch(/semantic/);
    expect(await status(two, `${question} Thanks`)).toMatch(/normalised/);
    expect(await status(two, 'in a stream', { stream: true })).toBe('sidegate; hit');
    expect(await status(two, 'purged later')).toBe('sidegate; hit');
    expect(own.calls).toHaveLength(calls);
    expect(await status(two, 'to be purged')).toBe('sidegate; fwd=uri-miss');
    const headers = { authorization: `Bearer ${token}` };
    const report = await (await fetch(`${two.adminUrl}/cache`, { headers })).json();
    expect(report).toMatchObject({ places: [{ tenant: 'test', hits: { semantic: 2, normalised: 1 } }] });
    // Marks go by when a request came, in this process or in an earlier one.
    await purge(two, 'late');
    expect(await status(two, 'purged later')).toBe('sidegate; fwd=uri-miss');
  });

  test('no personal data is in the file', async () => {
    const { snapshot, run } = await start();
    const one = await run();
    await status(one, 'I am ann.smith@example.com, card 4111 1111 1111 1111');
    await one.stop();
    const bytes = readFileSync(snapshot);
    expect(bytes.includes('Under Settings.')).toBe(true);
    for (const secret of ['ann.smith', '4111 1111']) expect(bytes.includes(secret)).toBe(false);
  });

  test('a damaged, cut or too large file is said and left aside, and the sidecar serves', async () => {
    const { snapshot, run } = await start({ bytesMax: 1024 * 1024, semantic: { bytesMax: 1024 * 1024 } });
    const one = await run();
    await status(one, question);
    await one.stop();
    const whole = readFileSync(snapshot);
    const flipped = Buffer.from(whole);
    flipped[100] = (flipped[100] ?? 0) ^ 1;
    const large = Buffer.alloc(67 * 1024 * 1024);
    const bad = [flipped, whole.subarray(0, -1), Buffer.from('SGCACHE9'), Buffer.alloc(0), large];
    for (const bytes of bad) {
      writeFileSync(snapshot, bytes);
      const next = await run();
      await logged(next, "the cache's snapshot cannot be used");
      expect(next.logText().match(/snapshot cannot be used/g)).toHaveLength(1);
      expect(await status(next, question)).toBe('sidegate; fwd=uri-miss');
      await next.stop();
    }
  });

  test('a place that cannot be written to is said, and the process ends all the same', async () => {
    const file = join(folder(), 'file');
    writeFileSync(file, '');
    const { run } = await start({ snapshot: join(file, 'cache.snapshot') });
    const one = await run();
    await status(one, question);
    await one.stop();
    expect(one.logText()).toContain('the cache could not be kept');
  });
});

describe('the file', () => {
  const parts: SnapshotPart[] = [
    { kind: 'head', bytes: Buffer.from('{}') },
    { kind: 'replies', bytes: Buffer.alloc(3_000_000, 7) },
    { kind: 'links', bytes: Buffer.alloc(0) },
    { kind: 'questions', bytes: Buffer.from('q') },
  ];

  test('gives back its parts, once', async () => {
    const path = join(folder(), 'snapshot');
    await writeSnapshot(path, parts);
    const read: SnapshotPart[] = [];
    for await (const part of (await takeSnapshot(path, 10_000_000)) ?? []) read.push(part);
    expect(read).toEqual(parts);
    expect(await takeSnapshot(path, 10_000_000)).toBeNull();
  });

  test('no damaged byte is read', async () => {
    const path = join(folder(), 'snapshot');
    await writeSnapshot(path, parts.slice(2));
    const whole = readFileSync(path);
    for (let at = 0; at < whole.length; at++) {
      const changed = Buffer.from(whole);
      changed[at] = (changed[at] ?? 0) ^ 1;
      writeFileSync(path, changed);
      await expect(takeSnapshot(path, 10_000_000)).rejects.toThrow('it is damaged');
    }
  });

  test('one that was not finished leaves the earlier one', async () => {
    const path = join(folder(), 'snapshot');
    await writeSnapshot(path, parts);
    const before = readFileSync(path);
    const failing = function* (): Generator<SnapshotPart> {
      yield* parts;
      throw new Error('no memory');
    };
    await expect(writeSnapshot(path, failing())).rejects.toThrow('no memory');
    expect(readFileSync(path)).toEqual(before);
    expect(existsSync(`${path}.tmp`)).toBe(false);
  });
});
