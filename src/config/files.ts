/** Reads small text files: the configuration, and the files it names. */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';

/** Why a file could not be read. The message contains nothing of the file. */
export class FileFault extends Error {}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  ENOTDIR: 'there is no such file',
  EACCES: 'permission to read it is denied',
  EPERM: 'permission to read it is denied',
  ELOOP: 'its symbolic links form a circle',
};

/** The whole file as text. Throws a `FileFault` if it is missing, unreadable, not a file, too large or not UTF-8. */
export function readTextFile(path: string, maxBytes: number): string {
  let file: number | null = null;
  try {
    // Without O_NONBLOCK, opening a pipe that nobody writes to would block for ever.
    file = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    if (!fstatSync(file).isFile()) throw new FileFault('it is not a file');
    // Read up to the limit rather than up to the file's size: the file may be growing.
    const chunks: Buffer[] = [];
    for (let total = 0; ; ) {
      const chunk = Buffer.allocUnsafe(64 * 1024);
      const length = readSync(file, chunk);
      if (length === 0) return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks));
      total += length;
      if (total > maxBytes) throw new FileFault(`it is larger than ${maxBytes} bytes`);
      chunks.push(chunk.subarray(0, length));
    }
  } catch (error) {
    if (error instanceof FileFault) throw error;
    const code = (error as NodeJS.ErrnoException).code ?? '';
    if (code === 'ERR_ENCODING_INVALID_ENCODED_DATA') throw new FileFault('it is not encoded as UTF-8');
    throw new FileFault(reasons[code] ?? `it cannot be read (${code})`);
  } finally {
    if (file !== null) closeSync(file);
  }
}
