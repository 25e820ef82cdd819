/** Every dialect by its name. A new one is a folder here and a line below. */

import type { DialectName } from '../exchange/dialects.ts';
import { anthropic } from './anthropic/index.ts';
import { bedrock } from './bedrock/index.ts';
import { cohere } from './cohere/index.ts';
import type { Dialect } from './dialect.ts';
import { gemini } from './gemini/index.ts';
import { openai } from './openai/index.ts';
import { replicate } from './replicate/index.ts';
import { responses } from './responses/index.ts';

/** Every dialect by its name. */
export const dialects: Readonly<Record<DialectName, Dialect>> = {
  openai,
  anthropic,
  responses,
  gemini,
  bedrock,
  cohere,
  replicate,
};
