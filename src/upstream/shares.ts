/**
 * Streams share the memory that is held for them: the more there are at a time, the less each may take. What a few hold
 * for speed, a thousand at full speed would hold as well, and that is more than a small container has.
 */

/** Streams that are asked for, or under way. */
let streams = 0;

/** One more is asked for; `leaveStreams` follows. */
export function joinStreams(): void {
  streams += 1;
}

/** One is over. */
export function leaveStreams(): void {
  streams -= 1;
}

/** What one stream may take of `allBytes`, between the least and the most that are of use to it. */
const share = (allBytes: number, leastBytes: number, mostBytes: number): number =>
  Math.min(mostBytes, Math.max(leastBytes, Math.floor(allBytes / streams)));

const kib = 1024;
const mib = 1024 * kib;

/**
 * Bytes of one stream that may wait for a slow client before its provider is paused: 64 KiB for up to 256 streams, 16 KiB
 * for a thousand.
 */
export const flowBytes = (): number => share(16 * mib, 4 * kib, 64 * kib);

/** Bytes of one stream’s text that are kept in case its tokens must be counted: 8 KiB tell how long they are. */
export const textBytes = (): number => share(16 * mib, 8 * kib, 128 * kib);
