/** Parts of messages by OpenTelemetry's conventions for generative AI. */
import type { Json } from '../../base/json.ts';
import type { Part, Source, ToolResultPart } from '../../dialects/chat.ts';
import type { ReplyPart } from '../../dialects/chat-reply.ts';

/** A message of the conventions. */
export interface Message {
  readonly role: string;
  readonly parts: readonly Json[];
  readonly [member: string]: unknown;
}

const textPart = (content: string): Json => ({ type: 'text', content });

/** What isn't text is named, but not exported. */
const blobPart = (modality: string, mimeType: string): Json => ({
  type: 'blob',
  modality,
  mime_type: mimeType,
  content: '',
});

/** A file at a URL. What follows the path may be a credential. */
function urlPart(modality: string, url: string): Json {
  const inline = /^data:([\w.+-]+\/[\w.+-]+)?/i.exec(url);
  if (inline !== null) return blobPart(modality, inline[1] ?? '');
  return { type: 'uri', modality, uri: url.replace(/[?#].*$/s, '') };
}

function sourcePart(modality: string, source: Source): Json {
  switch (source.kind) {
    case 'text':
      return textPart(source.text);
    case 'url':
      return urlPart(modality, source.url);
    case 'base64':
      return blobPart(modality, source.mediaType);
  }
}

function resultPart({ callId, content }: ToolResultPart): Json {
  const parts = content.flatMap((part) => partsOf(part));
  const isText = content.every(({ kind }) => kind === 'text');
  const response = isText ? parts.map((part) => part.content).join('') : parts;
  return { type: 'tool_call_response', id: callId, response };
}

/** A part of a request or reply; what nobody can read is left out. */
export function partsOf(part: Part | ReplyPart): readonly Json[] {
  switch (part.kind) {
    case 'text':
    case 'refusal':
      return [textPart(part.text)];
    case 'reasoning':
      return part.text === '' ? [] : [{ type: 'reasoning', content: part.text }];
    case 'redacted':
      return [];
    case 'image':
      return [sourcePart('image', part.source)];
    case 'document':
      return [sourcePart('document', part.source)];
    case 'audio':
      return [blobPart('audio', part.mediaType)];
    case 'picture':
      return [urlPart('image', part.url)];
    case 'tool_call':
      return [{ type: 'tool_call', id: part.id, name: part.name, arguments: part.arguments }];
    case 'tool_result':
      return [resultPart(part)];
  }
}
