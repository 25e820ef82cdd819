/** Writes the parts of messages as Converse's content blocks. https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html */
import { hash } from 'node:crypto';
import { entryOf, type Json, parseObject, withoutNulls } from '../../base/json.ts';
import { isSignedByClaude } from '../anthropic/write-request.ts';
import {
  type AudioPart,
  type CacheMark,
  type DocumentPart,
  type ImagePart,
  type Notes,
  noteInvalid,
  noteUnsupported,
  type Part,
  type ReasoningPart,
  type Signature,
  type ToolResultPart,
} from '../chat.ts';
import { pictureType } from '../picture-type.ts';
import { cachesPrompts, type Family } from './models.ts';

/** A cache breakpoint follows the content it applies to; models without a prompt cache refuse it. */
export const writeMark = (cache: CacheMark | null, family: Family): Json[] =>
  cache === null || !cachesPrompts(family)
    ? []
    : [
        {
          cachePoint: withoutNulls({
            type: 'default',
            ttl: cache.ttlS === null || cache.ttlS <= 300 ? null : '1h',
          }),
        },
      ];

const idMaxLength = 64;

/** The call id if Bedrock accepts it; otherwise a replacement, the same in the call and in its result. */
const writeId = (id: string): string =>
  id.length <= idMaxLength && /^[a-zA-Z0-9_-]+$/.test(id) ? id : `call_${hash('sha256', id).slice(0, 32)}`;

/** Writes parts as content blocks. */
export interface ContentWriter {
  write(part: Part): Json[];
}

/** Creates the writer for one request, within which document names must be unique. */
export function createContentWriter(family: Family, notes: Notes): ContentWriter {
  const documents: TakenNames = { names: new Set(), next: new Map() };

  const attachment = (part: ImagePart | DocumentPart | AudioPart): Json[] => {
    const written =
      part.kind === 'image'
        ? writeImage(part)
        : part.kind === 'audio'
          ? writeAudio(part)
          : writeDocument(part, documents);
    if (written === null) noteUnsupported(notes, part.at);
    return written === null ? [] : [written];
  };

  const result = ({ callId, content, isError, cache }: ToolResultPart): Json[] => {
    const written = content.flatMap((inner) =>
      inner.kind === 'text' ? writeText(inner.text) : attachment(inner),
    );
    const mark = cache ?? content.findLast((inner) => inner.cache !== null)?.cache ?? null;
    return [
      {
        toolResult: withoutNulls({
          toolUseId: writeId(callId),
          // The list must not be empty.
          content: written.length === 0 ? [{ json: {} }] : written,
          // Other models refuse the field.
          status: isError && cachesPrompts(family) ? 'error' : null,
        }),
      },
      ...writeMark(mark, family),
    ];
  };

  return {
    write(part) {
      switch (part.kind) {
        case 'text': {
          const text = writeText(part.text);
          return text.length === 0 || part.cache === null
            ? text
            : [...text, ...writeMark(part.cache, family)];
        }
        case 'refusal':
          return writeText(part.text);
        case 'image':
        case 'document':
          return [...attachment(part), ...writeMark(part.cache, family)];
        case 'audio':
          return attachment(part);
        case 'reasoning':
          return writeReasoning(part, family);
        case 'redacted':
          return part.data.by === 'bedrock'
            ? [{ reasoningContent: { redactedContent: part.data.value } }]
            : [];
        case 'tool_call': {
          const input = part.arguments.trim() === '' ? {} : parseObject(part.arguments);
          if (input === null) noteInvalid(notes, part.at, 'must have arguments that are a JSON object');
          const toolUse = { toolUseId: writeId(part.id), name: part.name, input };
          return [{ toolUse }, ...writeMark(part.cache, family)];
        }
        case 'tool_result':
          return result(part);
      }
    },
  };
}

/** Blank texts are refused, so they are left out. */
const writeText = (text: string): Json[] => (text.trim() === '' ? [] : [{ text }]);

/** Reasoning is sent back only if it is signed, and only to the provider that signed it. */
function writeReasoning({ text, signature }: ReasoningPart, family: Family): Json[] {
  return signature !== null && isOwn(signature, family)
    ? [{ reasoningContent: { reasoningText: { text, signature: signature.value } } }]
    : [];
}

const isOwn = ({ by }: Signature, family: Family): boolean =>
  by === 'bedrock' || (family === 'claude' && isSignedByClaude(by));

/** Whether a thought can be given back to a model of this family. */
export function takesThought(part: Part, family: Family): boolean {
  if (part.kind === 'reasoning') return part.signature !== null && isOwn(part.signature, family);
  return part.kind === 'redacted' && part.data.by === 'bedrock';
}

/** Null: not supported. Bedrock doesn't fetch images from URLs. */
function writeImage({ source }: ImagePart): Json | null {
  const format =
    source.kind === 'base64' ? /^image\/(png|jpeg|gif|webp)$/.exec(pictureType(source))?.[1] : undefined;
  return source.kind === 'base64' && format !== undefined
    ? { image: { format, source: { bytes: source.data } } }
    : null;
}

const audioFormats: Readonly<Record<string, string>> = {
  'audio/wav': 'wav',
  'audio/x-wav': 'wav',
  'audio/mpeg': 'mp3',
  'audio/mp3': 'mp3',
  'audio/aac': 'aac',
  'audio/flac': 'flac',
  'audio/ogg': 'ogg',
  'audio/opus': 'opus',
  'audio/webm': 'webm',
};

function writeAudio({ mediaType, data }: AudioPart): Json | null {
  const format = entryOf(audioFormats, mediaType);
  return format === undefined ? null : { audio: { format, source: { bytes: data } } };
}

const documentFormats: Readonly<Record<string, string>> = {
  'application/pdf': 'pdf',
  'text/csv': 'csv',
  'application/msword': 'doc',
  'application/vnd.openxmlformats-officedocument.wordprocessingml.document': 'docx',
  'application/vnd.ms-excel': 'xls',
  'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet': 'xlsx',
  'text/html': 'html',
  'text/plain': 'txt',
  'text/markdown': 'md',
};

function writeDocument({ source, name }: DocumentPart, taken: TakenNames): Json | null {
  if (source.kind === 'url') return null;
  const format = source.kind === 'text' ? 'txt' : entryOf(documentFormats, source.mediaType);
  if (format === undefined) return null;
  const bytes = source.kind === 'text' ? Buffer.from(source.text).toString('base64') : source.data;
  return { document: { format, name: nameOf(name, taken), source: { bytes } } };
}

const nameMaxLength = 180;

/** The names of a request's documents so far. */
interface TakenNames {
  readonly names: Set<string>;
  /** The number to try next for a name that is taken. */
  readonly next: Map<string, number>;
}

/** A unique document name of the few characters that Bedrock allows, which exclude dots. */
function nameOf(given: string | null, { names, next }: TakenNames): string {
  const plain = (given ?? '')
    .replace(/\.[a-z0-9]{1,5}$/i, '')
    .replace(/[^a-z0-9\s()[\]-]/gi, '-')
    .replace(/\s+/g, ' ')
    .trim()
    .slice(0, nameMaxLength);
  const base = plain === '' ? 'document' : plain;
  let name = base;
  if (names.has(base)) {
    let number = next.get(base) ?? 2;
    for (; names.has(name); number++) name = `${base} (${number})`;
    next.set(base, number);
  }
  names.add(name);
  return name;
}
