/** Sample requests and streams for the benchmarks. */

const sentence =
  'The sidecar reads what it must know of a prompt in one pass over its bytes, “quotes” included. ';

/** A chat request of about `bytes` bytes, in ten messages. */
export function chatBody(bytes: number, extra = ''): Buffer {
  const share = Math.max(1, Math.floor((bytes - 350) / 10));
  const text = sentence.repeat(Math.ceil(share / sentence.length)).slice(0, share);
  const messages = Array.from({ length: 10 }, (_, i) => ({
    role: i % 2 === 0 ? 'user' : 'assistant',
    content: i === 0 ? text + extra : text,
  }));
  return Buffer.from(JSON.stringify({ model: 'bench-model', messages, temperature: 0.2, max_tokens: 256 }));
}

/** An e-mail address and a card number, as a prompt may contain them. */
export const personalData = ' Write to alice.example@acme.test, the card is 4111 1111 1111 1111.';

/** A reply of 1 KB with its usage. */
export const chatReply = Buffer.from(
  JSON.stringify({
    id: 'chatcmpl-bench',
    object: 'chat.completion',
    created: 1_750_000_000,
    model: 'bench-model',
    choices: [
      {
        index: 0,
        message: { role: 'assistant', content: sentence.repeat(8), refusal: null },
        finish_reason: 'stop',
      },
    ],
    usage: { prompt_tokens: 256, completion_tokens: 160, total_tokens: 416 },
  }),
);

/** A stream of 200 text events, then finish, usage and end; one Buffer per event. */
export const streamEvents: readonly Buffer[] = [
  ...Array.from({ length: 200 }, () => chunk({ choices: [choice({ content: 'tok en ' }, null)] })),
  chunk({ choices: [choice({}, 'stop')] }),
  chunk({ choices: [], usage: { prompt_tokens: 256, completion_tokens: 200, total_tokens: 456 } }),
  Buffer.from('data: [DONE]\n\n'),
];

function choice(delta: object, finish: string | null): object {
  return { index: 0, delta, logprobs: null, finish_reason: finish };
}

function chunk(fields: object): Buffer {
  const head = { id: 'chatcmpl-bench', object: 'chat.completion.chunk', created: 1_750_000_000 };
  return Buffer.from(`data: ${JSON.stringify({ ...head, model: 'bench-model', ...fields })}\n\n`);
}
