/** Inspection of request bodies in the native core: one pass finds everything the pipeline needs. */
import type * as Binding from '../../native/binding/index.d.ts';
import { type Tier, tiers } from './classify.ts';
import { native } from './load.ts';
import { type Findings, findingsOf, noFindings, type PiiScope } from './pii.ts';

/** The APIs whose requests can be inspected. */
export const nativeEndpoint = native.Endpoint;
/** One of these APIs. */
export type NativeEndpoint = Binding.Endpoint;

const valuesMax = 4096;
const { INSPECT_HEAD: headSize, VALUE: valueSize, ABSENT: absent } = native.bodySize;
const regs = new Uint32Array(headSize + valueSize * valuesMax);
const digests = Buffer.alloc(64);
const at = native.BodyRegister;
const status = native.BodyStatus;

const fieldNames = native.fieldNames();

/** The most stop sequences of a request. */
export const stopsMax = native.bodyBound.STOPS_MAX;

/** Why a body is invalid. Offsets are bytes of the body. */
export type BodyFault =
  | { readonly kind: 'json' | 'utf8' | 'depth' | 'object' | 'findings'; readonly offset: number }
  | { readonly kind: 'duplicate' | 'type' | 'stops'; readonly offset: number; readonly field: string };

const faultKinds: Readonly<Record<Exclude<Binding.BodyStatus, Binding.BodyStatus.Fine>, BodyFault['kind']>> =
  {
    [status.Invalid]: 'json',
    [status.NotUtf8]: 'utf8',
    [status.TooDeep]: 'depth',
    [status.Duplicate]: 'duplicate',
    [status.NotAnObject]: 'object',
    [status.WrongType]: 'type',
    [status.TooManyValues]: 'findings',
    [status.TooManyStops]: 'stops',
  };

/** The facts about a body, as in `ModelRequest`. Offsets are bytes of `body`. */
export interface Inspection {
  readonly body: Buffer;
  /** Bits of `bodyFlags`. */
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
  readonly questionStart: number;
  readonly questionEnd: number;
  readonly images: number;
  readonly findings: Findings;
  readonly masked: ReadonlyMap<string, string> | null;
  readonly digest: string;
  readonly keyedDigest: string;
}

const flag = native.bodyFlag;

/** Bits of `Inspection.flags`. */
export const bodyFlags = {
  stream: flag.STREAM,
  includeUsage: flag.INCLUDE_USAGE,
  tools: flag.TOOLS,
  images: flag.IMAGE,
  schema: flag.STRUCTURED,
  reasoning: flag.REASONING,
  media: flag.FILE,
  modelEscaped: flag.MODEL_ESCAPED,
  serverTools: flag.SERVER_TOOLS,
  streamOptions: flag.STREAM_OPTIONS,
  sampled: flag.SAMPLED,
  questionEscaped: flag.QUESTION_ESCAPED,
  priority: flag.PRIORITY,
  fast: flag.FAST,
  cacheWrite: flag.CACHE_WRITE,
  cacheHour: flag.CACHE_HOUR,
  background: flag.BACKGROUND,
  resident: flag.RESIDENT,
  continued: flag.CONTINUED,
  audio: flag.AUDIO,
  questionPersonal: flag.QUESTION_PERSONAL,
  questionAlone: flag.QUESTION_ALONE,
  code: flag.CODE,
};

/** Position of the tier in `Inspection.flags`, counted from 1; 0: not classified. */
const tierShift = flag.TIER_SHIFT;

const reg = (index: number): number => regs[index] ?? 0;

function tierOf(flags: number): Tier | null {
  const number = flags >>> tierShift;
  return number === 0 ? null : (tiers[number - 1] ?? null);
}

/** Letters as JSON in a text may write them: any others keep a value from being restored. */
const escapes = /\\+(?:u([\da-f]{4})|\/)/gi;
const withoutEscapes = (value: string): string =>
  value.replace(escapes, (_, code?: string) =>
    code === undefined ? '/' : String.fromCharCode(Number.parseInt(code, 16)),
  );

function readMasked(original: Buffer, edited: Buffer | null): ReadonlyMap<string, string> | null {
  const count = reg(at.Values);
  if (count === 0 || edited === null) return null;
  const masked = new Map<string, string>();
  for (let i = 0; i < count; i++) {
    const from = headSize + valueSize * i;
    const placeholder = edited.toString('latin1', reg(from), reg(from + 1));
    const raw = original.toString('utf8', reg(from + 2), reg(from + 3));
    masked.set(placeholder, raw.includes('\\') ? withoutEscapes(String(JSON.parse(`"${raw}"`))) : raw);
  }
  return masked;
}

const readFindings = (names: readonly string[]): Findings =>
  reg(at.Found) === 0 ? noFindings : findingsOf(regs.subarray(at.Counts, headSize), names);

/**
 * Inspects a request body in one pass.
 * @param scope what is replaced, and whose values they are
 * @param classified whether to classify it too
 * @param key key of the HMAC over the resulting body
 */
export function inspect(
  body: Buffer,
  endpoint: NativeEndpoint,
  scope: PiiScope,
  classified: boolean,
  key: Buffer,
): Inspection | BodyFault {
  const { policy, tenant, recognised } = scope;
  const edited = native.inspect(body, endpoint, policy, tenant, classified, key, regs, digests, recognised);
  if (reg(at.Status) !== status.Fine) return readFault();
  const flags = reg(at.Flags);
  const maxTokens = reg(at.TokensMax);
  return {
    body: edited ?? body,
    modelStart: reg(at.ModelStart),
    modelEnd: reg(at.ModelEnd),
    flags,
    tier: tierOf(flags),
    maxTokens: maxTokens === absent ? null : maxTokens,
    choices: reg(at.Choices),
    textBytes: reg(at.TextBytes),
    textCharacters: reg(at.TextChars),
    streamOptionsStart: reg(at.StreamOptionsStart),
    streamOptionsEnd: reg(at.StreamOptionsEnd),
    firstField: reg(at.FirstField),
    questionStart: reg(at.QuestionStart),
    questionEnd: reg(at.QuestionEnd),
    images: reg(at.Images),
    findings: readFindings(scope.names),
    masked: readMasked(body, edited),
    digest: digests.toString('hex', 0, 32),
    keyedDigest: digests.toString('hex', 32, 64),
  };
}

function readFault(): BodyFault {
  const kind = faultKinds[reg(at.Status) as keyof typeof faultKinds];
  const offset = reg(at.FaultAt);
  if (kind === 'stops') return { kind, offset, field: 'stop' };
  return kind === 'duplicate' || kind === 'type'
    ? { kind, offset, field: fieldNames[reg(at.FaultField)] ?? '' }
    : { kind, offset };
}

/**
 * The number of objects, lists and members of a JSON document, and a quarter of its lists' elements; with `strings`, those
 * of JSON in its strings, too.
 */
export const partsOf = native.jsonParts;

/**
 * How many bytes of a text are ASCII digits; `beyond`: or none of ASCII at all, where other digits are. Numbers are what
 * the search for personal data looks at most closely.
 */
export const numeralBytes = native.numeralBytes;
