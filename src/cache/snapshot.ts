/**
 * The cache on disk while no process runs: written when one ends, and taken away when the next begins, so that what is
 * purged meanwhile never comes back after a crash. It holds placeholders in place of personal data, as the cache does.
 */
import { createHash } from 'node:crypto';
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Raised when the format changes, or what questions are found by: one may have led to the reply to another before. */
const magic = Buffer.from('SGCACHE3');
const digestBytes = 32;
const frameBytes = 5;
const readBytes = 1024 * 1024;

/** What the parts of a snapshot hold: facts about it, replies, what leads to them, questions. */
export const partKinds = ['head', 'replies', 'links', 'questions'] as const;

/** A part of a snapshot. */
export interface SnapshotPart {
  readonly kind: (typeof partKinds)[number];
  readonly bytes: Buffer;
}

/**
 * Writes a snapshot, readable by its owner only, in place of an earlier one at once. Rejects if it can't.
 * @param parts taken one after the other, as they are written
 */
export async function writeSnapshot(path: string, parts: Iterable<SnapshotPart>): Promise<void> {
  const unfinished = `${path}.tmp`;
  await mkdir(dirname(path), { recursive: true });
  // One that a killed process left may be another's to read.
  await rm(unfinished, { force: true });
  const file = await open(unfinished, 'wx', 0o600);
  try {
    const sum = createHash('sha256');
    const write = async (bytes: Buffer): Promise<void> => {
      sum.update(bytes);
      await file.writeFile(bytes);
    };
    await write(magic);
    for (const { kind, bytes } of parts) {
      const frame = Buffer.alloc(frameBytes);
      frame.writeUInt8(partKinds.indexOf(kind));
      frame.writeUInt32LE(bytes.length, 1);
      await write(frame);
      await write(bytes);
    }
    await file.writeFile(sum.digest());
    await file.sync();
    await file.close();
    await rename(unfinished, path);
  } catch (cause) {
    await file.close().catch(() => {});
    await rm(unfinished, { force: true });
    throw cause;
  }
}

/**
 * Takes a snapshot away and gives its parts; null: there is none. Rejects if it can't be read, is damaged, or is larger
 * than it may be; it is gone then, too.
 */
export async function takeSnapshot(
  path: string,
  bytesMax: number,
): Promise<AsyncIterable<SnapshotPart> | null> {
  const file = await open(path, 'r').catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT') return null;
    throw cause;
  });
  if (file === null) return null;
  try {
    await rm(path);
    const { size } = await file.stat();
    if (size > bytesMax) throw new Error(`it has ${size} bytes, and the cache may have ${bytesMax}`);
    const end = size - digestBytes;
    if (end < magic.length || !(await isWhole(file, end))) throw new Error('it is damaged');
    return partsOf(file, end);
  } catch (cause) {
    await file.close();
    throw cause;
  }
}

async function read(file: FileHandle, from: number, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(length);
  const { bytesRead } = await file.read(bytes, 0, length, from);
  if (bytesRead !== length) throw new Error('it is damaged');
  return bytes;
}

async function isWhole(file: FileHandle, end: number): Promise<boolean> {
  if (!(await read(file, 0, magic.length)).equals(magic)) return false;
  const sum = createHash('sha256');
  for (let at = 0; at < end; at += readBytes) sum.update(await read(file, at, Math.min(readBytes, end - at)));
  return sum.digest().equals(await read(file, end, digestBytes));
}

async function* partsOf(file: FileHandle, end: number): AsyncGenerator<SnapshotPart> {
  try {
    for (let at = magic.length; at < end; ) {
      const frame = await read(file, at, frameBytes);
      const [kind, length] = [partKinds[frame.readUInt8()], frame.readUInt32LE(1)];
      if (kind === undefined || at + frameBytes + length > end) throw new Error('it is damaged');
      yield { kind, bytes: await read(file, at + frameBytes, length) };
      at += frameBytes + length;
    }
  } finally {
    await file.close();
  }
}
