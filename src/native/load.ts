/** Loads the native core. */

import { createRequire } from 'node:module';
import type * as Binding from '../../native/binding/index.d.ts';

/** @throws if there is no build for this platform */
function load(): typeof Binding {
  const libc = process.platform === 'linux' ? '-gnu' : process.platform === 'win32' ? '-msvc' : '';
  const file = `../../native/binding/sidegate-native.${process.platform}-${process.arch}${libc}.node`;
  try {
    return createRequire(import.meta.url)(file) as typeof Binding;
  } catch (cause) {
    throw new Error(
      `The native core for ${process.platform}-${process.arch} is missing. Run \`npm run build:native\`.`,
      {
        cause,
      },
    );
  }
}

/** The native core's binding. */
export const native = load();
