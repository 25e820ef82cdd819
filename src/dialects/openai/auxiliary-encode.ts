/** Writes requests of auxiliary endpoints for a provider: the original body with the provider's model name. */

import type { IncomingHttpHeaders } from 'node:http';
import type { Auxiliary, Endpoint } from '../../exchange/endpoint.ts';
import { isEvents, type ModelRequest } from '../../exchange/request.ts';
import { renameModel } from '../edit.ts';
import type { ReplyReading } from '../reading.ts';
import type { Destination, UpstreamRequest } from '../wire.ts';
import { bytesReading, spokenReading, textReading, wholeReading } from './auxiliary-reading.ts';
import { deploymentOf } from './write-request.ts';

const speechReading = bytesReading('speech');

/** Writes a request. @param sent headers other than `content-type`, as flat name, value pairs */
export function encodeAuxiliary(
  endpoint: Endpoint,
  traits: Auxiliary,
  request: ModelRequest,
  headers: IncomingHttpHeaders,
  to: Destination,
  sent: readonly string[],
): UpstreamRequest {
  const form = request.form !== undefined;
  return {
    path: to.basePath + deploymentOf(to) + endpoint.upstreamPath,
    headers: sent,
    body: renameModel(request, to.model),
    reading: readingOf(traits, request),
    ...(form ? { contentType: headers['content-type'] ?? null } : {}),
  };
}

function readingOf({ gives }: Auxiliary, request: ModelRequest): ReplyReading {
  switch (gives) {
    case 'transcript':
      return isPlain(request) ? textReading : wholeReading;
    case 'speech':
      return isEvents(request) ? spokenReading : speechReading;
    default:
      return wholeReading;
  }
}

/** Whether the client asks for a transcript as text, not as JSON. */
const isPlain = ({ form, body }: ModelRequest): boolean =>
  form?.parts.some(
    ({ name, start, end }) =>
      name === 'response_format' && ['text', 'srt', 'vtt'].includes(body.toString('latin1', start, end)),
  ) === true;
