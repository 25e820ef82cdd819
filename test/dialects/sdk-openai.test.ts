/** OpenAI's SDK with every provider: chat completions, and the Responses API. */
import OpenAI from 'openai';
import { chat, responses } from './sdk/openai.ts';
import { tryAll } from './sdk/suite.ts';

tryAll<'openai'>({ 'openai, chat': chat(OpenAI), 'openai, responses': responses(OpenAI) });
