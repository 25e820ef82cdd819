/** Earlier generations of SDKs, which apps stay on for years, with every provider of the simulator. */
import { createRequire } from 'node:module';
import { root } from '../support/documents.ts';
import * as vercel from './sdk/ai.ts';
import { type AnthropicSdk, messages } from './sdk/anthropic.ts';
import { chat, type OpenAiSdk, responses } from './sdk/openai.ts';
import { tryAll } from './sdk/suite.ts';

// `npm test` installs them there, as test/dialects/sdk/ages has them: their peers are older than the project's own.
const load = createRequire(new URL('.sidegate/ages/package.json', root));
const openai = (age: number): OpenAiSdk => load(`openai-${age}`).OpenAI;
const anthropic = (age: string): AnthropicSdk => load(`@anthropic-ai/sdk-${age}`).Anthropic;
const ai = (age: number, providers: number): vercel.AiSdk => ({
  ai: load(`ai-${age}`),
  openai: load(`@ai-sdk/openai-${providers}`),
  anthropic: load(`@ai-sdk/anthropic-${providers}`),
  output: age < 6 ? 'experimental_output' : 'output',
});

tryAll<'ages'>({
  'openai 4, chat': chat(openai(4)),
  'openai 4, responses': responses(openai(4)),
  'openai 5, chat': chat(openai(5)),
  'openai 5, responses': responses(openai(5)),
  'openai 6, chat': chat(openai(6)),
  'openai 6, responses': responses(openai(6)),
  '@anthropic-ai/sdk 0.20': messages(anthropic('0.20')),
  '@anthropic-ai/sdk 0.39': messages(anthropic('0.39')),
  '@anthropic-ai/sdk 0.65': messages(anthropic('0.65')),
  'ai 5 with @ai-sdk/openai 2, chat': vercel.chat(ai(5, 2)),
  'ai 5 with @ai-sdk/openai 2, responses': vercel.responses(ai(5, 2)),
  'ai 5 with @ai-sdk/anthropic 2': vercel.messages(ai(5, 2)),
  'ai 6 with @ai-sdk/openai 3, chat': vercel.chat(ai(6, 3)),
  'ai 6 with @ai-sdk/openai 3, responses': vercel.responses(ai(6, 3)),
  'ai 6 with @ai-sdk/anthropic 3': vercel.messages(ai(6, 3)),
});
