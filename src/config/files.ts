/** Reads small text files: the configuration and the secrets it names. */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';

/** Why a file could not be read; says so without naming what is in it. */
export class FileFault extends Error {}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  ENOTDIR: 'there is no such file',
  EACCES: 'it may not be read',
  EPERM: 'it may not be read',
  ELOOP: 'its symbolic links run in a circle',
};

/** The whole file as text. Throws a `FileFault`: it is missing, no file, over the bound or not UTF-8. */
export function readTextFile(path: string, maxBytes: number): string {
  let file: number | null = null;
  try {
    // A pipe that nobody writes to would be waited for without end.
    file = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    if (!fstatSync(file).isFile()) throw new FileFault('it is not a file');
    // Read up to the bound rather than the size that was told: the file may grow meanwhile.
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
