/**
 * Where the program's files are. Compiled, its modules are joined into a few files, so none can find another by its own
 * place: all paths begin at the program's folder.
 */

/** `dist` compiled, `src` otherwise. This module stands one folder below it either way. */
const program = new URL('../', import.meta.url);

/** Runs from TypeScript, as in tests. */
export const isSource = import.meta.url.endsWith('.ts');

/** A file or folder. @param path from the program's folder, such as `../package.json` */
export const placeOf = (path: string): URL => new URL(path, program);

/**
 * A file that is loaded by its path, such as a thread's.
 * @param path from the program's folder, without extension; a literal, since the build makes a file for each that it finds
 */
export const scriptOf = (path: string): URL => placeOf(`${path}.${isSource ? 'ts' : 'js'}`);
