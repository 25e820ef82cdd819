/** Python's SDKs of OpenAI and Anthropic with every provider, in one Python process for all tests. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll } from 'vitest';
import { root } from '../support/documents.ts';
import type { Asked, Failure, Heard } from './sdk/client.ts';
import type { ClientOf } from './sdk/list.ts';
import { type Connect, tryAll } from './sdk/suite.ts';

const python = fileURLToPath(new URL('.sidegate/venv/bin/python', root));
if (!existsSync(python)) {
  throw new Error(
    'The Python environment of the tests is missing. `npm test` makes it where Python 3.11 or newer is there with ' +
      'venv: `apt-get install python3-venv` gets both on Debian and Ubuntu.',
  );
}

/** A line that the process prints. */
type Came = { readonly id: number } & (
  | { readonly heard: Heard; readonly failure?: undefined }
  | { readonly failure: Failure }
);

/** What the SDK threw in that process. */
class PythonError extends Error {
  readonly failure: Failure;
  constructor(failure: Failure) {
    super(`${failure.kind}: ${failure.message}`);
    this.failure = failure;
  }
}

const script = fileURLToPath(new URL('sdk/python.py', import.meta.url));
const child = spawn(python, [script], {
  stdio: ['pipe', 'pipe', 'inherit'],
  env: { ...process.env, NO_PROXY: '*', no_proxy: '*' },
});
const waiting = new Map<number, { resolve(heard: Heard): void; reject(cause: Error): void }>();
let asked = 0;
createInterface(child.stdout).on('line', (line) => {
  const came: Came = JSON.parse(line);
  const asker = waiting.get(came.id);
  waiting.delete(came.id);
  if (came.failure !== undefined) asker?.reject(new PythonError(came.failure));
  else asker?.resolve(came.heard);
});
child.on('close', (code) => {
  for (const { reject } of waiting.values()) reject(new Error(`Python ended with ${code}`));
});
afterAll(
  () =>
    new Promise<void>((resolve) => {
      child.once('close', () => resolve());
      child.stdin.end();
    }),
);

const kinds: Readonly<Record<number, string>> = {
  400: 'BadRequestError',
  404: 'NotFoundError',
  422: 'UnprocessableEntityError',
};

const connect =
  (client: ClientOf<'python'>, overloaded: string): Connect =>
  (url) => ({
    ask: (question: Asked) =>
      new Promise((resolve, reject) => {
        const id = ++asked;
        waiting.set(id, { resolve, reject });
        child.stdin.write(`${JSON.stringify({ id, client, url, asked: question })}\n`);
      }),
    failure(thrown) {
      if (thrown instanceof PythonError) return thrown.failure;
      throw thrown;
    },
    kindOf: (status) => kinds[status] ?? overloaded,
  });

tryAll<'python'>({
  'Python openai, chat': connect('Python openai, chat', 'InternalServerError'),
  'Python openai, responses': connect('Python openai, responses', 'InternalServerError'),
  'Python anthropic': connect('Python anthropic', 'ServiceUnavailableError'),
});
