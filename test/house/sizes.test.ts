/** Files stay short: at most 400 lines each, so that one reading takes in a whole file. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const linesMax = 400;

/** Source files tracked by git, except fixtures and what napi generates. */
const files = execFileSync('git', ['ls-files', '-z', '*.ts', '*.mjs', '*.rs'], { encoding: 'utf8' })
  .split('\0')
  .filter((file) => file !== '' && !/(^|\/)fixtures\/|^native\/binding\/index\.d\.ts$/.test(file));

const linesIn = (text: string): number => text.split('\n').length - (text.endsWith('\n') ? 1 : 0);

/** The files with more lines than allowed. */
function longer(read: (file: string) => string): string[] {
  return files.filter((file) => linesIn(read(file)) > linesMax).sort();
}

test('the files are found', () => {
  expect(files.length).toBeGreaterThan(300);
  expect(files).toContain('src/main.ts');
  expect(files).toContain('native/core/src/lib.rs');
});

test('no file has more than 400 lines', () => {
  expect(longer((file) => readFileSync(file, 'utf8'))).toEqual([]);
});

test('a file that grows too long is found', () => {
  const text = 'line\n'.repeat(linesMax);
  expect(longer(() => text)).toEqual([]);
  expect(longer((file) => (file === 'src/main.ts' ? `${text}line\n` : text))).toEqual(['src/main.ts']);
});
