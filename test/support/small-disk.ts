/** A small disk of its own for a test that fills it. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

/** Mounts one and gives its folder; null: this machine lets nobody mount one. @param kib its size */
export function smallDisk(kib: number): string | null {
  const folder = mkdtempSync(join(tmpdir(), 'sidegate-disk-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${kib}k`, 'tmpfs', folder], { stdio: 'ignore' });
  } catch {
    return null;
  }
  onTestFinished(() => void execFileSync('umount', [folder]));
  return folder;
}

/** Fills what is left of it with a file, and gives that file's path. */
export function fillDisk(folder: string): string {
  const { bavail, bsize } = statfsSync(folder);
  const path = join(folder, 'rest');
  writeFileSync(path, Buffer.alloc(bavail * bsize));
  return path;
}
