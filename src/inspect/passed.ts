/** What the pipeline must know about a request that is passed on unread: nothing of its body but a digest. */
import { createHash, createHmac, type Hash } from 'node:crypto';
import { Refusal } from '../base/errors.ts';
import { isForm, readForm } from '../base/multipart.ts';
import { givesBytes, type ModelRequest, noPlaces } from '../exchange/request.ts';
import { inspect, nativeEndpoint } from '../native/inspect.ts';
import { findNothing, noFindings } from '../native/pii.ts';
import { encodingFault, modelFault, type Received } from './inspect.ts';

/** What decides the price of a request. */
type Asked = Pick<ModelRequest, 'model' | 'choices' | 'textBytes' | 'textCharacters'>;

const nothingAsked: Asked = { model: '', choices: 1, textBytes: 0, textCharacters: 0 };

/** The model that a request names, and the length of its text; a body that can't be read is the provider's to refuse. */
function asked({ body, endpoint }: Received, digestKey: Buffer): Asked {
  if (endpoint.inPath !== null) return { ...nothingAsked, model: endpoint.inPath.model ?? '' };
  const found = inspect(body, nativeEndpoint.Auxiliary, findNothing, false, digestKey);
  if ('kind' in found) return nothingAsked;
  const raw = body.toString('utf8', found.modelStart, found.modelEnd);
  const name = raw.includes('\\') ? String(JSON.parse(`"${raw}"`)) : raw;
  const { choices, textBytes, textCharacters } = found;
  return { model: modelFault(name) === null ? name : '', choices, textBytes, textCharacters };
}

/** Adds a body and its type; of a form without the boundary, which SDKs generate anew when they repeat a request. */
function addBody(digest: Hash, { headers, body }: Received): Hash {
  const type = headers['content-type'] ?? '';
  const form = isForm(type) ? readForm(body, type) : null;
  // One that can't be read is the provider's to refuse.
  if (form === null || form instanceof Refusal) return digest.update(`${type}\0`).update(body);
  for (const { headStart, start, end } of form.parts)
    digest.update(`${start - headStart} ${end - start} `).update(body.subarray(headStart, end));
  return digest;
}

/** Describes a request by its method, path and bytes. */
export function inspectPassed(exchange: Received, digestKey: Buffer): ModelRequest | Refusal {
  const { headers, body, endpoint } = exchange;
  const encoded = encodingFault(headers);
  if (encoded !== null) return encoded;
  const { method, upstreamPath, inPath } = endpoint;
  const nameless = (inPath?.model ?? '') === '' ? null : modelFault(inPath?.model ?? '');
  if (nameless !== null) return nameless;
  if (body.length > 0 && (method === 'GET' || endpoint.auxiliary?.takes === 'nothing'))
    return new Refusal('invalid_field', `A ${method} request takes no body here.`, { param: 'body' });
  // The same body sent to another provider is another request.
  const head = [method, upstreamPath, headers['x-sidegate-provider'] ?? ''];
  const digest = addBody(createHash('sha256').update(`${head.join('\0')}\0`), exchange).digest();
  const { model, choices, textBytes, textCharacters } =
    endpoint.billed === true ? asked(exchange, digestKey) : nothingAsked;
  return {
    body,
    model,
    // A session goes on like a stream.
    stream: givesBytes(endpoint, null),
    wantsUsage: false,
    maxTokens: null,
    choices,
    textBytes,
    textCharacters,
    // What creates an object must not be sent twice.
    serverTools: method === 'POST' || method === 'PATCH',
    findings: noFindings,
    masked: null,
    digest: digest.toString('hex'),
    keyedDigest: createHmac('sha256', digestKey).update(digest).digest('hex'),
    ...noPlaces,
    flags: 0,
    tier: null,
  };
}
