/** Configurations in files: encodings, links, folders that are missing, and reload on real files. */
import { spawnSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { formatFaults } from '../../src/config/faults.ts';
import { loadConfig } from '../../src/config/load.ts';
import { followFiles, watchConfig } from '../../src/config/reload.ts';
import { changed, env, listed } from '../support/config-samples.ts';

describe('files', () => {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'sidegate-config-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));
  const file = (name: string, text: string | Buffer): string => {
    const path = join(folder, name);
    writeFileSync(path, text);
    return path;
  };

  it('that cannot be used are faults', () => {
    const only = (path: string) => listed(loadConfig(path, env));
    expect(only(join(folder, 'none'))).toEqual([': the file cannot be used: there is no such file']);
    expect(only(folder)).toEqual([': the file cannot be used: it is not a file']);
    expect(only(file('latin1', Buffer.from([0x61, 0xe9])))).toEqual([
      ': the file cannot be used: it is not encoded as UTF-8',
    ]);
    expect(only(file('big', Buffer.alloc(33 * 1024 * 1024, 'a')))).toEqual([
      ': the file cannot be used: it is larger than 33554432 bytes',
    ]);
    expect(formatFaults('x', [{ path: '', line: null, column: null, message: 'm' }])).toBe('x m');
  });

  it('with secrets are found beside the configuration, and bounded', () => {
    file('key', 'sk-beside\r\n');
    file('big', 'x'.repeat(65 * 1024));
    const at = (name: string) => loadConfig(file('c.yaml', changed('providers.anthropic.apiKey', name)), env);
    const good = at('file:key');
    expect(good.ok && good.config.providers.anthropic?.apiKey).toBe('sk-beside');
    expect(listed(at('file:big'))[0]).toContain('larger than 65536 bytes');
    expect(listed(at('file:/dev/zero'))[0]).toContain('not a file');
    expect(listed(at('file:none'))[0]).toContain('no such file');
  });

  /** Watches, and gives a promise of the next call; fails the test by its time limit when none comes. */
  function watched(path: string) {
    let told: () => void = () => {};
    const onChange = vi.fn(() => told());
    const watch = watchConfig(path, onChange);
    return {
      onChange,
      close: () => watch.close(),
      next: () => new Promise<void>((resolve) => (told = resolve)),
    };
  }

  it('are watched through writes, renames and absence', async () => {
    const path = file('c.yaml', 'one');
    const { onChange, next, close } = watched(path);
    let change = next();
    writeFileSync(path, 'two');
    writeFileSync(path, 'three');
    await change;
    expect(onChange).toHaveBeenCalledTimes(1);

    change = next();
    renameSync(file('c.yaml.tmp', 'four'), path);
    await change;
    expect(onChange).toHaveBeenCalledTimes(2);

    change = next();
    rmSync(path);
    // Missing for longer than the debounce: another file's events pass, and nothing is told.
    const other = join(folder, 'other');
    const gone = watched(other);
    const otherChange = gone.next();
    writeFileSync(other, 'x');
    await otherChange;
    gone.close();
    expect(onChange).toHaveBeenCalledTimes(2);
    file('c.yaml', 'five');
    await change;
    expect(onChange).toHaveBeenCalledTimes(3);
    close();
  });

  it('are watched through the link that Kubernetes swaps', async () => {
    const version = (name: string, text: string) => {
      mkdirSync(join(folder, name));
      file(`${name}/sidegate.yaml`, text);
      symlinkSync(name, join(folder, '..data_tmp'));
      renameSync(join(folder, '..data_tmp'), join(folder, '..data'));
    };
    version('..2026_1', 'one');
    const path = join(folder, 'sidegate.yaml');
    symlinkSync('..data/sidegate.yaml', path);
    const { onChange, next, close } = watched(path);
    for (const turn of [2, 3]) {
      const change = next();
      version(`..2026_${turn}`, `turn ${turn}`);
      rmSync(join(folder, `..2026_${turn - 1}`), { recursive: true });
      await change;
      expect(readFileSync(path, 'utf8')).toBe(`turn ${turn}`);
    }
    expect(onChange).toHaveBeenCalledTimes(2);
    close();
  });

  it('are followed by any path: one that cannot be looked at is one that is missing', async () => {
    const loop = join(folder, 'loop');
    symlinkSync('loop', loop);
    const circles = [loop, join(loop, 'c.yaml'), join(folder, 'x'.repeat(300)), join(folder, 'a\0b')];
    const follow = followFiles(() => {});
    follow(circles);
    follow([]);
    const { onChange, next, close } = watched(loop);
    const change = next();
    rmSync(loop);
    file('loop', 'one');
    await change;
    expect(onChange).toHaveBeenCalledTimes(1);
    // A circle while it is watched ends nothing either.
    rmSync(loop);
    symlinkSync('loop', loop);
    const neighbour = watched(join(folder, 'other'));
    const otherChange = neighbour.next();
    file('other', 'x');
    await otherChange;
    neighbour.close();
    close();
    expect(onChange).toHaveBeenCalledTimes(1);
  });

  it('are told of no more after close, nor when a neighbour changes', async () => {
    const path = file('c.yaml', 'one');
    const closed = watched(path);
    const same = watched(path);
    const neighbour = watched(join(folder, 'n.yaml'));
    closed.close();
    const first = neighbour.next();
    file('n.yaml', 'x');
    await first;
    expect(same.onChange).not.toHaveBeenCalled();
    const second = same.next();
    writeFileSync(path, 'two');
    await second;
    expect(same.onChange).toHaveBeenCalledTimes(1);
    expect(closed.onChange).not.toHaveBeenCalled();
    same.close();
    neighbour.close();
  });

  it('tell of a change within the bound though events never stop', async () => {
    const path = file('c.yaml', 'one');
    const { next, close } = watched(path);
    let writes = 0;
    let gapMaxMs = 0;
    // On a busy machine events may have stopped for a moment, and then it is tried again.
    do {
      const change = next();
      let lastMs = performance.now();
      writes = 0;
      gapMaxMs = 0;
      const busy = setInterval(() => {
        gapMaxMs = Math.max(gapMaxMs, performance.now() - lastMs);
        lastMs = performance.now();
        writeFileSync(path, `${writes++}`);
      }, 10);
      await change;
      clearInterval(busy);
    } while (gapMaxMs > 50);
    expect(writes).toBeGreaterThan(10);
    close();
  });

  it('keep no process alive', () => {
    const path = file('c.yaml', 'one');
    const module = new URL('../../src/config/reload.ts', import.meta.url).href;
    const script = `import { writeFileSync } from 'node:fs'; import { followFiles, watchConfig } from ${JSON.stringify(module)};
      watchConfig(${JSON.stringify(path)}, () => {}); writeFileSync(${JSON.stringify(path)}, 'two');`;
    const run = spawnSync(process.execPath, ['--input-type=module', '-e', script], { timeout: 60_000 });
    expect(run.signal).toBeNull();
    expect(run.status).toBe(0);
  });

  it('that are missing or in no folder are watched without a throw', () => {
    watchConfig(join(folder, 'none', 'c.yaml'), () => {}).close();
  });
});
