/** Replies as they are read on the socket itself: the same as undici reads them, wherever they are cut. */
import { expect, test } from 'vitest';
import { ReplyReader } from '../../src/upstream/reply-reader.ts';
import { oddReply, pieces, type Understood, understoodByUndici } from '../support/odd-replies.ts';

/** Reads a reply that comes in these pieces; null: it is left to undici. */
function understood(all: readonly Buffer[]): Understood | null {
  const reader = new ReplyReader();
  let [status, headers, body]: [number, unknown, string] = [0, {}, ''];
  const sink = {
    onHead(code: number, given: unknown) {
      [status, headers] = [code, given];
    },
    onBody(bytes: Buffer) {
      body += bytes.toString('latin1');
    },
  };
  reader.begin();
  let surplus = false;
  let ended: boolean | null = null;
  for (const piece of all) {
    if (ended !== null) {
      surplus = true;
      break;
    }
    const outcome = reader.read(Buffer.from(piece), sink);
    if (outcome === 'unusual') {
      expect([status, body, reader.held.length > 0]).toEqual([0, '', true]);
      return null;
    }
    if (outcome !== 'more') ended = outcome === 'ended';
  }
  ended ??= reader.endsByClosing;
  return { status, headers, body, ended, kept: ended && reader.keptMs > 0 && !surplus };
}

/** How many replies are compared: `REPLIES=1000000` takes ten minutes. */
const count = Number(process.env.REPLIES ?? 4000);

test('nothing is understood otherwise than by undici', { timeout: 60_000 + count }, async () => {
  let plain = 0;
  for (let seed = 1; seed <= count; seed++) {
    const all = pieces(oddReply(seed), seed);
    const own = understood(all);
    if (own === null) continue;
    plain += 1;
    const theirs = await understoodByUndici(all);
    // undici keeps a connection with line breaks behind a reply.
    const kept = own.kept && theirs.kept;
    expect(own, `seed ${seed}: ${JSON.stringify(Buffer.concat(all).toString('latin1'))}`).toEqual({
      ...theirs,
      kept,
    });
  }
  expect(plain).toBeGreaterThan(count / 4);
});
