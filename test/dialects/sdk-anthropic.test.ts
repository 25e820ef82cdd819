/** Anthropic's SDK with every provider. */
import Anthropic from '@anthropic-ai/sdk';
import { messages } from './sdk/anthropic.ts';
import { tryAll } from './sdk/suite.ts';

tryAll<'anthropic'>({ '@anthropic-ai/sdk': messages(Anthropic) });
