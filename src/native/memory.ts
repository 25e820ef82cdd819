/** Memory of the native allocator. */
import { native } from './load.ts';

/** Returns free pages that the C library's allocator keeps to the operating system; takes about 1 ms. */
export const trimMemory = native.memoryTrim;
