/**
 * Reasoning in OpenAI's chat dialect, which has no official field for it: `reasoning_content` for its text, like vLLM
 * and DeepSeek, and `reasoning_details` for signed reasoning that must be sent back, like OpenRouter.
 */

import { type Json, listOf, objectOf, textOf } from '../../base/json.ts';
import { type Part, type ReasoningPart, type RedactedPart, type Signature, seal, unseal } from '../chat.ts';

/** Reads the reasoning in a message, with its signatures. */
export function readDetails(message: Json): (ReasoningPart | RedactedPart)[] {
  if (message.reasoning_details === undefined) return readUnsigned(message);
  const details = listOf(message.reasoning_details).flatMap((detail): (ReasoningPart | RedactedPart)[] => {
    if (detail.type === 'reasoning.encrypted' && typeof detail.data === 'string')
      return [{ kind: 'redacted', data: marked(unseal(detail.data, 'openai'), detail) }];
    if (detail.type === 'reasoning.summary')
      return [{ kind: 'reasoning', text: textOf(detail.summary) ?? '', signature: null }];
    if (detail.type !== 'reasoning.text') return [];
    const signature = textOf(detail.signature);
    return [
      {
        kind: 'reasoning',
        text: textOf(detail.text) ?? '',
        signature:
          signature === null || signature === '' ? null : marked(unseal(signature, 'openai'), detail),
      },
    ];
  });
  return details.length > 0 ? details : readUnsigned(message);
}

function readUnsigned({ reasoning_content: usual, reasoning }: Json): ReasoningPart[] {
  const text = textOf(usual) ?? textOf(reasoning) ?? '';
  return text === '' ? [] : [{ kind: 'reasoning', text, signature: null }];
}

/** Reads content in parts, some of which are reasoning (Mistral). */
export const readContent = (content: unknown): { kind: 'text' | 'reasoning'; text: string }[] =>
  listOf(content).map((part) => {
    if (part.type !== 'thinking') return { kind: 'text', text: textOf(part.text) ?? '' };
    const texts = listOf(part.thinking).map(({ text }) => textOf(text) ?? '');
    return { kind: 'reasoning', text: textOf(part.thinking) ?? texts.join('') };
  });

/** The format that entries have if they don't say one. https://openrouter.ai/docs/use-cases/reasoning-tokens */
const usualFormat = 'anthropic-claude-v1';

/** What a provider sealed, with the entry's format and id, without which that provider can't read it. */
function marked(seal: Signature, { format, id }: Json): Signature {
  if (seal.by !== 'openai') return seal;
  const [is, has] = [textOf(format) ?? usualFormat, textOf(id) ?? ''];
  return is === usualFormat && has === '' ? seal : { ...seal, value: `${is} ${has} ${seal.value}` };
}

/** The sealed text, and what the entry said besides. */
function unmarked(value: string): { readonly value: string; readonly more: Json } {
  const [, format, id, data] = /^(\S+) (\S*) (.*)$/s.exec(value) ?? [];
  if (data === undefined) return { value, more: { format: usualFormat } };
  return { value: data, more: id === '' ? { format } : { id, format } };
}

/**
 * The entries of a turn that a provider of this dialect sealed, for the same provider, in their order with what it said
 * unsealed; empty: it sealed nothing. @param isClaude it serves a Claude, which reads signatures of Claude anywhere
 */
export function writeOwnDetails(parts: readonly Part[], isClaude: boolean): Json[] {
  const details: Json[] = [];
  let sealed = false;
  for (const part of parts) {
    if (part.kind !== 'redacted' && part.kind !== 'reasoning') continue;
    const seal = part.kind === 'redacted' ? part.data : part.signature;
    const claudes =
      isClaude && part.kind === 'reasoning' && (seal?.by === 'anthropic' || seal?.by === 'bedrock');
    if (seal !== null && seal.by !== 'openai' && !claudes) continue;
    sealed ||= seal !== null;
    const index = details.length;
    if (seal === null) {
      if (part.kind === 'reasoning') details.push({ type: 'reasoning.text', text: part.text, index });
      continue;
    }
    const { value, more } = unmarked(seal.value);
    if (part.kind === 'reasoning')
      details.push({ type: 'reasoning.text', text: part.text, signature: value, ...more, index });
    else details.push({ type: 'reasoning.encrypted', data: value, ...more, index });
  }
  return sealed ? details : [];
}

/** Writes an entry of `reasoning_details`; null: unsigned, so it need not be sent back. */
export function writeDetail(part: ReasoningPart | RedactedPart, index: number): Json | null {
  if (part.kind === 'redacted')
    return {
      type: 'reasoning.encrypted',
      data: seal(part.data, 'openai'),
      index,
      format: formatOf(part.data.by),
    };
  if (part.signature === null) return null;
  const { signature, text } = part;
  return {
    type: 'reasoning.text',
    text,
    signature: seal(signature, 'openai'),
    index,
    format: formatOf(signature.by),
  };
}

const formatOf = (by: string): string => (by === 'anthropic' ? 'anthropic-claude-v1' : 'unknown');

/** A call's signature in the field of Google's OpenAI-compatible endpoint; no other provider signs calls. */
export const writeExtra = (signature: Signature | null): Json =>
  signature?.by === 'gemini' ? { extra_content: { google: { thought_signature: signature.value } } } : {};

/** Reads a call's signature from that field; null: none. */
export function readExtra(call: Json): Signature | null {
  const value = textOf(objectOf(objectOf(call.extra_content).google).thought_signature) ?? '';
  return value === '' ? null : { by: 'gemini', value };
}
