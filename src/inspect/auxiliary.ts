/** What the pipeline must know about a request to an auxiliary endpoint: JSON, a form, or no body. */
import { createHash, hash } from 'node:crypto';
import { Refusal } from '../base/errors.ts';
import { type Form, type FormPart, isForm, readForm, textOf } from '../base/multipart.ts';
import { edit } from '../dialects/edit.ts';
import type { Auxiliary, Endpoint } from '../exchange/endpoint.ts';
import { givesBytes, type ModelRequest, noPlaces } from '../exchange/request.ts';
import { bodyFlags, type Inspection, inspect as inspectBytes } from '../native/inspect.ts';
import type { PiiScope } from '../native/pii.ts';
import { encodingFault, explain, modelFault, type Received } from './inspect.ts';
import { inspectPassed } from './passed.ts';

/** Reads a request. Refuses one that no provider could read either. */
export function inspectAuxiliary(
  exchange: Received,
  traits: Auxiliary,
  scope: PiiScope,
  digestKey: Buffer,
): ModelRequest | Refusal {
  const { headers, body, endpoint } = exchange;
  const encoded = encodingFault(headers);
  if (encoded !== null) return encoded;
  if (traits.takes === 'nothing') return inspectPassed(exchange, digestKey);
  const type = headers['content-type'];
  const form = type !== undefined && isForm(type) ? readForm(body, type) : null;
  if (form instanceof Refusal) return form;
  const json = form === null ? body : factsOf(form, body);
  if (json instanceof Refusal) return json;
  const found = inspectBytes(json, endpoint.inspectedAs, scope, false, digestKey);
  if ('kind' in found) return explain(found, json.length);
  const leaving = form === null ? found.body : masked(form, body, json, found.body);
  const now = form === null || leaving === body ? form : readForm(leaving, type ?? '');
  if (now instanceof Refusal) return now;
  const at = now === null ? { start: found.modelStart, end: found.modelEnd } : modelPart(now);
  const model = modelOf(leaving, at, form === null && (found.flags & bodyFlags.modelEscaped) !== 0, endpoint);
  if (model instanceof Refusal) return model;
  const request = requestOf(found, leaving, model, traits);
  const placed = {
    ...request,
    modelStart: at.start,
    modelEnd: at.end,
    firstField: now === null ? found.firstField : 0,
    images: traits.reserve === 'images' ? imagesIn(leaving, now) : 0,
    ...(now === null ? {} : { form: now }),
  };
  const stream = placed.stream || givesBytes(endpoint, placed);
  return endpoint.kind === 'files'
    ? { ...placed, stream, digest: ofProvider(placed.digest, exchange) }
    : { ...placed, stream };
}

/** How many images a request brings: files of a form, or links and ids in JSON, whose texts can't hold such a quote. */
function imagesIn(body: Buffer, form: Form | null): number {
  if (form !== null) return form.parts.filter(({ file }) => file).length;
  let found = 0;
  for (const name of ['"image_url"', '"file_id"'])
    for (let at = body.indexOf(name); at >= 0; at = body.indexOf(name, at + name.length)) found += 1;
  return found;
}

/** The digest with the chosen provider in it: the same body sent to another provider is another request. */
const ofProvider = (digest: string, { headers }: Received): string =>
  hash('sha256', `${headers['x-sidegate-provider'] ?? ''}\0${digest}`, 'buffer').toString('latin1');

function requestOf(found: Inspection, body: Buffer, model: string, traits: Auxiliary): ModelRequest {
  const { choices, textBytes, textCharacters, findings, masked: values, flags } = found;
  return {
    body,
    model,
    stream: (flags & bodyFlags.stream) !== 0,
    wantsUsage: false,
    maxTokens: null,
    choices,
    textBytes,
    textCharacters,
    // Requests that leave something at the provider must not be sent twice.
    serverTools: traits.once,
    findings,
    masked: values,
    digest: found.digest,
    keyedDigest: found.keyedDigest,
    ...noPlaces,
    flags,
    tier: null,
  };
}

interface Span {
  readonly start: number;
  readonly end: number;
}

const modelPart = ({ parts }: Form): Span =>
  parts.find(({ name }) => name === 'model') ?? { start: 0, end: 0 };

function modelOf(
  body: Buffer,
  { start, end }: Span,
  escaped: boolean,
  { kind, unnamed }: Endpoint,
): string | Refusal {
  if (kind === 'files') return '';
  if (end === 0 && unnamed !== undefined) return unnamed;
  const raw = body.toString('utf8', start, end);
  const model = escaped ? String(JSON.parse(`"${raw}"`)) : raw;
  return modelFault(model) ?? model;
}

/**
 * The content of a form, as JSON that is inspected like any other body: its texts, and a digest of everything else. It
 * leaves out the boundary, which SDKs generate anew each time, so that a repeated request has the same digest.
 */
export function factsOf(form: Form, body: Buffer): Buffer | Refusal {
  const model = textOf(form, 'model', body);
  const stream = textOf(form, 'stream', body);
  const count = textOf(form, 'n', body);
  const format = textOf(form, 'response_format', body);
  for (const text of [model, stream, count, format]) if (text instanceof Refusal) return text;
  const { prompts, others } = textsOf(form);
  const texts = (parts: readonly FormPart[]): string[] =>
    parts.map(({ start, end }) => body.toString('utf8', start, end));
  const facts = {
    ...(model === undefined ? {} : { model }),
    ...(stream === undefined ? {} : { stream: truthOf(String(stream)) }),
    ...(count === undefined ? {} : { n: numberOf(String(count)) }),
    input: texts(prompts),
    fields: texts(others),
    // Fields of this name aren't searched for personal data.
    signature: digestOf(form, body),
  };
  return Buffer.from(JSON.stringify(facts));
}

/** A form has no types. Any other text stays text, and is refused as having the wrong type. */
const truthOf = (text: string): boolean | string =>
  /^(true|1)$/i.test(text) ? true : /^(false|0)$/i.test(text) ? false : text;
const numberOf = (text: string): number | string => (/^\d{1,9}$/.test(text) ? Number(text) : text);

const decisive = new Set(['model', 'stream', 'n']);

/** The text parts: prompts, which a model reads, and the others. */
function textsOf({ parts }: Form): { readonly prompts: FormPart[]; readonly others: FormPart[] } {
  const texts = parts.filter(({ file, name }) => !file && !decisive.has(name));
  return {
    prompts: texts.filter(({ name }) => name === 'prompt'),
    others: texts.filter(({ name }) => name !== 'prompt'),
  };
}

/** SHA-256 of the fields' headers and of the files, hex. */
function digestOf({ parts }: Form, body: Buffer): string {
  const digest = createHash('sha256');
  for (const { file, headStart, start, end } of parts) {
    digest.update(`${start - headStart} `).update(body.subarray(headStart, start));
    if (file) digest.update(`${end - start} `).update(body.subarray(start, end));
  }
  return digest.digest('hex');
}

/** The form with its texts masked by policy; the same bytes if nothing was masked. */
function masked(form: Form, body: Buffer, before: Buffer, after: Buffer): Buffer {
  if (after === before) return body;
  const { input, fields } = JSON.parse(after.toString('utf8')) as { input: string[]; fields: string[] };
  const { prompts, others } = textsOf(form);
  const edits = [...prompts, ...others].map(({ start, end }, i) => ({
    start,
    end,
    text: [...input, ...fields][i] ?? '',
  }));
  return edit(
    body,
    edits.sort((a, b) => a.start - b.start),
  );
}
