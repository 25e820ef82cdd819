/** The dialects, by name. A new one is a file beside this and a line here. */
import { anthropic } from './anthropic/index.ts';
import { bedrock } from './bedrock/index.ts';
import { gemini } from './gemini/index.ts';
import { openai } from './openai/index.ts';
import type { Dialect, DialectName } from './provider.ts';
import { responses } from './responses/index.ts';

export const dialects: Readonly<Record<DialectName, Dialect>> = {
  openai,
  anthropic,
  responses,
  gemini,
  bedrock,
};
