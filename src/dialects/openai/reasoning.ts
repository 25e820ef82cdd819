/**
 * Reasoning in OpenAI's chat dialect, which has no place of its own for it: `reasoning_content` for its text, as vLLM and
 * DeepSeek write it, and `reasoning_details` for what a provider wants back signed, as OpenRouter writes it.
 */

import { type Json, listOf, objectOf, textOf } from '../../base/json.ts';
import { type ReasoningPart, type RedactedPart, type Signature, seal, unseal } from '../chat.ts';

/** Reasoning in a message, whole; signed where it came signed. */
export function readDetails(message: Json): (ReasoningPart | RedactedPart)[] {
  const details = listOf(message.reasoning_details).flatMap((detail): (ReasoningPart | RedactedPart)[] => {
    if (detail.type === 'reasoning.encrypted' && typeof detail.data === 'string')
      return [{ kind: 'redacted', data: unseal(detail.data, 'openai') }];
    if (detail.type === 'reasoning.summary')
      return [{ kind: 'reasoning', text: textOf(detail.summary) ?? '', signature: null }];
    if (detail.type !== 'reasoning.text') return [];
    const signature = textOf(detail.signature);
    return [
      {
        kind: 'reasoning',
        text: textOf(detail.text) ?? '',
        signature: signature === null || signature === '' ? null : unseal(signature, 'openai'),
      },
    ];
  });
  if (details.length > 0) return details;
  const text = textOf(message.reasoning_content) ?? textOf(message.reasoning) ?? '';
  return text === '' ? [] : [{ kind: 'reasoning', text, signature: null }];
}

/** Content in parts, of which some are what the model thought (Mistral). */
export const readContent = (content: unknown): { kind: 'text' | 'reasoning'; text: string }[] =>
  listOf(content).map((part) => {
    if (part.type !== 'thinking') return { kind: 'text', text: textOf(part.text) ?? '' };
    const texts = listOf(part.thinking).map(({ text }) => textOf(text) ?? '');
    return { kind: 'reasoning', text: textOf(part.thinking) ?? texts.join('') };
  });

/** One entry of `reasoning_details`; null: there is nothing that must come back. */
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

/** A call's own signature, where Google's endpoint for OpenAI's SDKs puts it; no other provider signs calls. */
export const writeExtra = (signature: Signature | null): Json =>
  signature?.by === 'gemini' ? { extra_content: { google: { thought_signature: signature.value } } } : {};

export function readExtra(call: Json): Signature | null {
  const value = textOf(objectOf(objectOf(call.extra_content).google).thought_signature) ?? '';
  return value === '' ? null : { by: 'gemini', value };
}
