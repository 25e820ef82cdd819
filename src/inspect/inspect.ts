/** Stage inspect: finds what the pipeline must know about a body, and masks personal data, in one pass. */

import { hash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { Refusal } from '../base/errors.ts';
import type { DialectName } from '../exchange/dialects.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { ModelRequest } from '../exchange/request.ts';
import { type BodyFault, bodyFlags, inspect as inspectBytes, stopsMax } from '../native/inspect.ts';
import type { PiiScope } from '../native/pii.ts';

const modelMaxLength = 256;

/** A request, as far as it is inspected. */
export type Received = Pick<Exchange, 'headers' | 'body' | 'endpoint'>;

/**
 * Reads a request's body. Refuses one that no provider could read either.
 * @param scope what is replaced, and whose values they are
 * @param classify also find the request's tier
 * @param digestKey key of the digest that goes into records
 */
export function inspect(
  exchange: Received,
  scope: PiiScope,
  digestKey: Buffer,
  classify = false,
): ModelRequest | Refusal {
  const encoded = encodingFault(exchange.headers);
  if (encoded !== null) return encoded;
  const { body: sent, endpoint } = exchange;
  const found = inspectBytes(sent, endpoint.inspectedAs, scope, classify, digestKey);
  if ('kind' in found) return explain(named(found, exchange), sent.length);
  const { modelStart, modelEnd, flags, body } = found;
  const { inPath, unnamed = '' } = endpoint;
  const raw = body.toString('utf8', modelStart, modelEnd);
  const inBody = flags & bodyFlags.modelEscaped ? String(JSON.parse(`"${raw}"`)) : raw;
  const model = inPath === null ? (modelEnd === 0 ? unnamed : inBody) : (inPath.model ?? '');
  const nameless = modelFault(model);
  if (nameless !== null) return nameless;
  return {
    body,
    model,
    stream: inPath === null ? (flags & bodyFlags.stream) !== 0 : inPath.stream,
    wantsUsage: (flags & bodyFlags.includeUsage) !== 0,
    maxTokens: found.maxTokens,
    choices: found.choices,
    textBytes: found.textBytes,
    textCharacters: found.textCharacters,
    serverTools: (flags & bodyFlags.serverTools) !== 0,
    findings: found.findings,
    masked: found.masked,
    // The digest covers the whole request, including a model in the path.
    digest: inPath === null ? found.digest : hash('sha256', `${model}\0${found.digest}`),
    keyedDigest: found.keyedDigest,
    modelStart,
    modelEnd,
    streamOptionsStart: found.streamOptionsStart,
    streamOptionsEnd: found.streamOptionsEnd,
    firstField: found.firstField,
    questionStart: found.questionStart,
    questionEnd: found.questionEnd,
    images: found.images,
    flags,
    tier: found.tier,
  };
}

/** The refusal of a compressed body, in which nothing could be found; null: it isn't compressed. */
export function encodingFault(headers: IncomingHttpHeaders): Refusal | null {
  const encoding = headers['content-encoding'];
  if (encoding === undefined || encoding === 'identity') return null;
  return new Refusal(
    'unsupported_media_type',
    `The body is encoded as ${JSON.stringify(encoding.slice(0, 32))}.`,
  );
}

/** The refusal of an invalid model name; null: it is valid. */
export const modelFault = (model: string): Refusal | null =>
  model !== '' && model.length <= modelMaxLength && model.isWellFormed()
    ? null
    : new Refusal('invalid_field', `The field "model" must be a name of 1–${modelMaxLength} characters.`, {
        param: 'model',
      });

/** Fields that dialects call otherwise than OpenAI's chat does. */
const ownNames: Readonly<Partial<Record<DialectName, Readonly<Record<string, string>>>>> = {
  responses: { max_tokens: 'max_output_tokens' },
  anthropic: { stop: 'stop_sequences' },
  gemini: { stop: 'generationConfig.stopSequences' },
};

/** Names the field as the client's dialect does. */
const named = (fault: BodyFault, { endpoint }: Received): BodyFault =>
  'field' in fault ? { ...fault, field: ownNames[endpoint.dialect]?.[fault.field] ?? fault.field } : fault;

/** The refusal that explains a fault of a body. @param length of the body, in bytes */
export function explain(fault: BodyFault, length: number): Refusal {
  switch (fault.kind) {
    case 'duplicate':
      return new Refusal('duplicate_field', `The field "${fault.field}" is sent twice.`, {
        param: fault.field,
      });
    case 'type':
      return new Refusal(
        'invalid_field',
        `The field "${fault.field}" has a value of the wrong type, or one that it can't have.`,
        {
          param: fault.field,
        },
      );
    case 'utf8':
      return new Refusal('invalid_json', `The body is not valid UTF-8 at byte ${fault.offset}.`);
    case 'depth':
      return new Refusal('invalid_json', `The body is nested too deeply at byte ${fault.offset}.`);
    case 'object':
      return new Refusal('invalid_json', 'The body is not a JSON object.');
    case 'findings':
      return new Refusal('pii_blocked', 'The body contains more personal data than can be masked.');
    case 'stops':
      return new Refusal(
        'invalid_field',
        `The field "${fault.field}" has more than ${stopsMax} stop sequences: send fewer. Most providers take 4 or 5.`,
        { param: fault.field },
      );
    default:
      return new Refusal(
        'invalid_json',
        length === 0 ? 'The body is empty.' : `The body is not valid JSON at byte ${fault.offset}.`,
      );
  }
}
