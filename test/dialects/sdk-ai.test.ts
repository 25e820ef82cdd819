/** Vercel's `ai` with its providers for OpenAI and Anthropic, with every provider. */
import * as anthropic from '@ai-sdk/anthropic';
import * as openai from '@ai-sdk/openai';
import * as ai from 'ai';
import { chat, messages, responses } from './sdk/ai.ts';
import { tryAll } from './sdk/suite.ts';

const sdk = { ai, openai, anthropic, output: 'output' } as const;

tryAll<'ai'>({
  'ai with @ai-sdk/openai, chat': chat(sdk),
  'ai with @ai-sdk/openai, responses': responses(sdk),
  'ai with @ai-sdk/anthropic': messages(sdk),
});
