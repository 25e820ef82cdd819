/**
 * News of caches as they stand in Redis: sealed by AES-256-GCM with a key made of the deployment's secret, so that whoever
 * reads Redis learns nothing, and whoever writes to it can't make a pod answer anything.
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import type { CacheNews, ToldQuestion } from '../exchange/shared-cache.ts';
import { type ReplyHead, readReplyHead, replyHead } from './reply-wire.ts';

/** Raised when the format changes: pods of different versions then ignore each other's news. */
const version = 3;
const cipher = 'aes-256-gcm';
const nonceBytes = 12;
const tagBytes = 16;
const noBody = Buffer.alloc(0);

/** Larger news aren't sent, nor read, in bytes. */
export const newsBytesMax = 256 * 1024;

/** News with what is needed to judge them. */
export interface Told {
  readonly news: CacheNews;
  /** Id of the process that tells. */
  readonly from: string;
  /** When it was told, wall-clock ms. */
  readonly atMs: number;
  /** Differs for any two. */
  readonly id: string;
}

/** The key that a secret gives (RFC 5869). @param name of the stream: news of one are worth nothing in another */
export const keyOf = (secret: string, name: string): Buffer =>
  Buffer.from(hkdfSync('sha256', secret, name, 'sidegate cache', 32));

/** Seals news; null: they are too large. */
export function seal(key: Buffer, news: CacheNews, from: string, atMs: number): Buffer | null {
  const body = news.kind === 'entry' ? news.reply.body : noBody;
  if (body.length > newsBytesMax) return null;
  const head =
    news.kind === 'entry'
      ? { ...news, question: writeQuestion(news.question), reply: replyHead(news.reply) }
      : news;
  const text = Buffer.from(`${JSON.stringify({ ...head, from, atMs })}\n`);
  if (text.length + body.length > newsBytesMax) return null;
  const nonce = randomBytes(nonceBytes);
  const sealing = createCipheriv(cipher, key, nonce).setAAD(Buffer.of(version));
  const sealed = [sealing.update(text), sealing.update(body), sealing.final()];
  return Buffer.concat([Buffer.of(version), nonce, ...sealed, sealing.getAuthTag()]);
}

/** Opens what stands in Redis; null: it is malformed, forged, too large, or of another version. */
export function unseal(key: Buffer, bytes: Buffer): Told | null {
  const least = 1 + nonceBytes + tagBytes;
  if (bytes[0] !== version || bytes.length < least || bytes.length > newsBytesMax + least) return null;
  const nonce = bytes.subarray(1, 1 + nonceBytes);
  try {
    const opening = createDecipheriv(cipher, key, nonce).setAAD(bytes.subarray(0, 1));
    opening.setAuthTag(bytes.subarray(bytes.length - tagBytes));
    const sealed = bytes.subarray(1 + nonceBytes, bytes.length - tagBytes);
    const plain = Buffer.concat([opening.update(sealed), opening.final()]);
    const end = plain.indexOf('\n');
    const { from, atMs, ...head } = JSON.parse(plain.toString('utf8', 0, end)) as Partial<Told & CacheNews>;
    const news = readNews(head as Fields, plain.subarray(end + 1));
    if (news === null || typeof from !== 'string' || typeof atMs !== 'number') return null;
    return { news, from, atMs, id: nonce.toString('base64') };
  } catch {
    return null;
  }
}

interface Fields {
  readonly kind?: unknown;
  readonly tenant?: unknown;
  readonly route?: unknown;
  readonly key?: unknown;
  readonly question?: { readonly [Field in keyof ToldQuestion]?: unknown } | null;
  readonly reply?: Partial<ReplyHead>;
  readonly right?: unknown;
  readonly forgotten?: unknown;
  readonly tag?: unknown;
  readonly olderThanMs?: unknown;
  readonly tags?: unknown;
  readonly ageMs?: unknown;
  readonly maxAgeMs?: unknown;
}

function writeQuestion(question: ToldQuestion | null): object | null {
  if (question === null) return null;
  const { vector, ...others } = question;
  return { ...others, vector: vector && Buffer.from(vector).toString('base64') };
}

/** Undefined: it isn't one. */
function readQuestion(question: Fields['question']): ToldQuestion | null | undefined {
  if (question === undefined || question === null) return question;
  const { scope, text, embedder, vector } = question;
  if (typeof scope !== 'string' || typeof text !== 'string' || typeof embedder !== 'string') return;
  if (vector === null) return { scope, text, embedder, vector };
  return typeof vector === 'string'
    ? { scope, text, embedder, vector: Int8Array.from(Buffer.from(vector, 'base64')) }
    : undefined;
}

function readJudged(
  place: { readonly tenant: string; readonly route: string },
  { right, forgotten }: Fields,
): CacheNews | null {
  if (typeof right !== 'boolean') return null;
  if (forgotten === undefined) return { kind: 'judged', ...place, right };
  return Number.isSafeInteger(forgotten) && Number(forgotten) >= 0
    ? { kind: 'judged', ...place, right, forgotten: Number(forgotten) }
    : null;
}

function readNews(fields: Fields, body: Buffer): CacheNews | null {
  const { kind, tenant, route, key, question, reply, tag, tags, olderThanMs, ageMs, maxAgeMs } = fields;
  const isName = (value: unknown): value is string => typeof value === 'string';
  const isSpan = (value: unknown): value is number => typeof value === 'number' && value >= 0;
  if (kind === 'purge') {
    const isAny = (value: unknown): value is string | null => value === null || isName(value);
    const named = isAny(tenant) && isAny(route) && isAny(tag) && isSpan(olderThanMs);
    return named ? { kind, tenant, route, tag, olderThanMs } : null;
  }
  if (!isName(tenant) || !isName(route)) return null;
  if (kind === 'judged') return readJudged({ tenant, route }, fields);
  const head = reply === undefined ? null : readReplyHead(reply);
  const asked = readQuestion(question);
  if (kind !== 'entry' || !isName(key) || head === null || asked === undefined) return null;
  if (!Array.isArray(tags) || !tags.every(isName) || !isSpan(ageMs)) return null;
  // JSON has no other word for Infinity.
  const keptMs = maxAgeMs === null ? Number.POSITIVE_INFINITY : maxAgeMs;
  if (!isSpan(keptMs)) return null;
  return {
    kind,
    tenant,
    route,
    key,
    question: asked,
    tags,
    ageMs,
    maxAgeMs: keptMs,
    reply: { ...head, body },
  };
}
