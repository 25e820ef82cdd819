/** Upper bounds of the tokens and seconds of images and audio, which limits reserve before the call. */

import type { Auxiliary } from '../exchange/endpoint.ts';
import type { ModelRequest } from '../exchange/request.ts';

/** Upper bounds of one request's media. */
export interface MediaBounds {
  /** In addition to the prompt's text. */
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly soundMs: number;
}

/** The largest image at high quality, generated or read: https://platform.openai.com/docs/guides/image-generation */
const imageTokens = 6240;
/** Speech has about 150 words a minute: 200 tokens of text, and 1,250 of audio at the price that OpenAI quotes. */
const soundTokensPerText = 6.25;
/** Context and reply of gpt-4o-transcribe: https://platform.openai.com/docs/models/gpt-4o-transcribe */
const heardTokensMax = 16_000;
const transcriptTokensMax = 2000;
const heardTokensPerSecond = 10;
/** Speech is rarely compressed below 16 kbit/s. */
const soundBytesPerSecond = 2000;

const nothing: MediaBounds = { inputTokens: 0, outputTokens: 0, soundMs: 0 };

/** Upper bounds of a request's media. @param promptTokens tokens of the prompt's text */
export function mediaBounds(
  { reserve }: Auxiliary,
  { form, choices, images }: ModelRequest,
  promptTokens: number,
): MediaBounds {
  switch (reserve) {
    case 'nothing':
      return nothing;
    case 'images':
      return { inputTokens: images * imageTokens, outputTokens: choices * imageTokens, soundMs: 0 };
    case 'speech':
      return { ...nothing, outputTokens: Math.ceil(promptTokens * soundTokensPerText) };
    case 'transcript': {
      let bytes = 0;
      for (const { file, start, end } of form?.parts ?? []) bytes += file ? end - start : 0;
      const seconds = bytes / soundBytesPerSecond;
      const inputTokens = Math.min(heardTokensMax, Math.ceil(seconds * heardTokensPerSecond));
      return { inputTokens, outputTokens: transcriptTokensMax, soundMs: Math.ceil(seconds * 1000) };
    }
  }
}
