/** Memory of the native allocator. */
import { native } from './load.ts';

/** Gives free pages of the C library's allocator back to the system, where it keeps them; about 1 ms. */
export const trimMemory = native.memoryTrim;
