/** Whole replies as they are held: what is packed counts as it is unpacked, so that many small ones can't fill the memory. */
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { HeldReply } from '../../src/attempt/held-reply.ts';

const MB = 1024 * 1024;
const packers = { gzip: gzipSync, br: brotliCompressSync };

/** Room for so many bytes, and the most of them that were held. */
function roomFor(bytes: number) {
  const room = {
    held: 0,
    most: 0,
    holdReply(more: number): boolean {
      if (more > 0 && room.held + more > bytes) return false;
      room.held += more;
      room.most = Math.max(room.most, room.held);
      return true;
    },
  };
  return room;
}

const heldOf = (packed: Buffer, encoding: string, maxBytes: number, room: ReturnType<typeof roomFor>) => {
  const held = new HeldReply(200, { 'content-encoding': encoding }, maxBytes, room);
  expect(held.push(packed)).toBeNull();
  return held;
};

test.each(Object.entries(packers))(
  'a reply packed by %s is held as long as there is room',
  async (encoding, pack) => {
    const plain = Buffer.alloc(8 * MB, 'x');
    const packed = pack(plain);
    const enough = roomFor(9 * MB);
    const whole = await heldOf(packed, encoding, 10 * MB, enough).finish();
    expect(whole instanceof Buffer && whole.equals(plain)).toBe(true);
    expect(enough.held).toBe(plain.length);

    const little = roomFor(2 * MB);
    const held = heldOf(packed, encoding, 10 * MB, little);
    expect(await held.finish()).toBe('no_room');
    // It was given up once the room was full, not when all of it was there.
    expect(little.most).toBeGreaterThan(MB);
    held.giveUp();
    expect(little.held).toBe(0);

    const large = roomFor(9 * MB);
    expect(await heldOf(packed, encoding, 4 * MB, large).finish()).toBe('too_large');
    expect(large.most).toBeLessThan(4.5 * MB);
  },
);

test('a reply that nobody waits for any more is not unpacked to its end', async () => {
  const room = roomFor(9 * MB);
  const held = heldOf(gzipSync(Buffer.alloc(8 * MB, 'x')), 'gzip', 10 * MB, room);
  const whole = held.finish();
  held.giveUp();
  expect(await whole).toBe('cancelled');
  expect([room.held, room.most < MB]).toEqual([0, true]);
});

test('what isn’t packed as it says is no answer', async () => {
  for (const encoding of ['gzip', 'br', 'zstd'])
    expect(await heldOf(Buffer.from('{}'), encoding, MB, roomFor(MB)).finish()).toBe('malformed');
});
