/** The official SDKs, unmodified, as a test's client. */
import Anthropic from '@anthropic-ai/sdk';
import { GoogleGenAI } from '@google/genai';
import OpenAI from 'openai';
import { testModel, type Wire } from './replies.ts';

/** What an app gets from a call. */
export interface SdkOutcome {
  readonly text: string;
  /** Null if the SDK reported no error. */
  readonly error: (Error & { readonly status?: number | undefined }) | null;
}

const paramsOf = (content = 'Say hello.') => ({
  model: testModel,
  messages: [{ role: 'user' as const, content }],
});

/** How an app uses its SDK. */
export interface SdkUse {
  /** The SDK's own retries; none by default. */
  readonly retriesMax?: number;
  readonly prompt?: string;
  /** Called with each piece of text. */
  readonly onText?: (text: string) => void;
}

/** Requests a stream through the dialect's SDK. */
export async function streamBySdk(wire: Wire, url: string, use: SdkUse = {}): Promise<SdkOutcome> {
  const { retriesMax = 0, onText, prompt } = use;
  const params = paramsOf(prompt);
  let text = '';
  const add = (piece: string): void => {
    text += piece;
    if (piece !== '') onText?.(piece);
  };
  try {
    if (wire.name === 'gemini') {
      const stream = await geminiClient(url).models.generateContentStream({
        model: testModel,
        contents: prompt ?? 'Say hello.',
      });
      for await (const chunk of stream) add(chunk.text ?? '');
    } else if (wire.name === 'responses') {
      const input = params.messages;
      const stream = await openaiClient(url, retriesMax).responses.create({
        model: testModel,
        input,
        stream: true,
      });
      for await (const event of stream) if (event.type === 'response.output_text.delta') add(event.delta);
    } else if (wire.name === 'openai') {
      const stream = await openaiClient(url, retriesMax).chat.completions.create({ ...params, stream: true });
      for await (const chunk of stream) add(chunk.choices[0]?.delta.content ?? '');
    } else {
      const stream = await anthropicClient(url, retriesMax).messages.create({
        ...params,
        max_tokens: 1024,
        stream: true,
      });
      for await (const event of stream) {
        if (event.type === 'content_block_delta' && event.delta.type === 'text_delta') add(event.delta.text);
      }
    }
    return { text, error: null };
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return { text, error };
  }
}

/** Requests a whole reply through the dialect's SDK. */
export async function askBySdk(wire: Wire, url: string, use: SdkUse = {}): Promise<SdkOutcome> {
  const { retriesMax = 0, prompt } = use;
  const params = paramsOf(prompt);
  try {
    if (wire.name === 'openai') {
      const reply = await openaiClient(url, retriesMax).chat.completions.create(params);
      return { text: reply.choices[0]?.message.content ?? '', error: null };
    }
    const reply = await anthropicClient(url, retriesMax).messages.create({ ...params, max_tokens: 1024 });
    return {
      text: reply.content.map((block) => (block.type === 'text' ? block.text : '')).join(''),
      error: null,
    };
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return { text: '', error };
  }
}

/** It has no retries unless configured. */
const geminiClient = (url: string): GoogleGenAI =>
  new GoogleGenAI({ apiKey: 'app-key', httpOptions: { baseUrl: url } });

const openaiClient = (url: string, maxRetries: number): OpenAI =>
  new OpenAI({ baseURL: `${url}/v1`, apiKey: 'app-key', maxRetries });

const anthropicClient = (url: string, maxRetries: number): Anthropic =>
  new Anthropic({ baseURL: url, apiKey: 'app-key', maxRetries });
