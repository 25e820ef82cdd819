/** A tokenizer of another package than the gateway's, to compare counts with. Making it takes a second of CPU time. */
import { getEncoding } from 'js-tiktoken';

/** That of OpenAI's models since GPT-4o. */
export const tokenizer = getEncoding('o200k_base');
