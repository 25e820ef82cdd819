/** Request bodies in the native core: one pass finds what the pipeline must know. */
import { type Tier, tiers } from './classify.ts';
import { native } from './load.ts';

/** Kinds of personal data that can be looked for, as bits. */
export const piiBits = { email: 1, card: 2 } as const;

const findingsMax = 4096;

const headWords = 18;

const regs = new Uint32Array(headWords + 3 * findingsMax);

const digests = Buffer.alloc(64);

const absent = 0xffff_ffff;

const fieldNames = [
  'model',
  'messages',
  'stream',
  'max_tokens',
  'max_completion_tokens',
  'n',
  'stream_options',
  'tools',
  'input',
  'system',
  'response_format',
  'user',
  'contents',
  'systemInstruction',
  'generationConfig',
  'query',
  'documents',
  'texts',
  'inputs',
] as const;

/** Why a body can't be used. */
export type BodyFault =
  | { readonly kind: 'json' | 'utf8' | 'depth' | 'object' | 'findings'; readonly offset: number }
  | { readonly kind: 'duplicate' | 'type'; readonly offset: number; readonly field: string };

const faultKinds = ['', 'json', 'utf8', 'depth', 'duplicate', 'object', 'type', 'findings'] as const;

/** A body's findings; laid out in `native/core/src/registers.rs`. */
export interface Inspection {
  readonly body: Buffer;
  readonly flags: number;
  readonly tier: Tier | null;
  readonly modelStart: number;
  readonly modelEnd: number;
  readonly maxTokens: number | null;
  readonly choices: number;
  readonly textBytes: number;
  readonly textCharacters: number;
  readonly streamOptionsStart: number;
  readonly streamOptionsEnd: number;
  readonly firstField: number;
  readonly emails: number;
  readonly cards: number;
  readonly masked: ReadonlyMap<string, string> | null;
  readonly digest: string;
  readonly keyedDigest: string;
}

/** Added to `scrub`: put the request in a tier. */
export const classifyBit = 1 << 24;

/** Where `Inspection.flags` has the request's tier, from 1; 0: it wasn't classified. */
const tierShift = 28;

/** Bits of `Inspection.flags`. */
export const bodyFlags = {
  stream: 1,
  includeUsage: 2,
  tools: 4,
  images: 8,
  schema: 16,
  reasoning: 32,
  media: 64,
  modelEscaped: 128,
  serverTools: 256,
  streamOptions: 512,
  audio: 1 << 26,
  code: 1 << 27,
} as const;

const reg = (index: number): number => regs[index] ?? 0;

function tierOf(flags: number): Tier | null {
  const number = flags >>> tierShift;
  return number === 0 ? null : (tiers[number - 1] ?? null);
}

function readMasked(original: Buffer): ReadonlyMap<string, string> | null {
  const count = reg(15);
  if (count === 0) return null;
  const masked = new Map<string, string>();
  for (let i = 0; i < count; i++) {
    const at = headWords + 3 * i;
    const kind = reg(at) >>> 24 === 1 ? 'EMAIL' : 'CARD';
    const raw = original.toString('utf8', reg(at + 1), reg(at + 2));
    masked.set(`[${kind}_${reg(at) & 0xff_ffff}]`, raw.includes('\\') ? String(JSON.parse(`"${raw}"`)) : raw);
  }
  return masked;
}

/**
 * Looks a request body through in one pass.
 * @param scrub which of `piiBits` are replaced by placeholders, and `classifyBit`
 * @param key key of the HMAC over the body that leaves
 */
export function inspect(body: Buffer, inspectId: number, scrub: number, key: Buffer): Inspection | BodyFault {
  const edited = native.inspect(body, inspectId, scrub, key, regs, digests);
  const status = reg(0);
  if (status !== 0) {
    const kind = faultKinds[status] ?? 'json';
    if (kind === 'duplicate' || kind === 'type')
      return { kind, offset: reg(1), field: fieldNames[reg(2)] ?? '' };
    return { kind: kind === '' ? 'json' : kind, offset: reg(1) };
  }
  return {
    body: edited ?? body,
    modelStart: reg(3),
    modelEnd: reg(4),
    flags: reg(5),
    tier: tierOf(reg(5)),
    maxTokens: reg(6) === absent ? null : reg(6),
    choices: reg(7),
    textBytes: reg(8),
    textCharacters: reg(9),
    streamOptionsStart: reg(11),
    streamOptionsEnd: reg(12),
    firstField: reg(13),
    emails: reg(16),
    cards: reg(17),
    masked: readMasked(body),
    digest: digests.toString('hex', 0, 32),
    keyedDigest: digests.toString('hex', 32, 64),
  };
}
