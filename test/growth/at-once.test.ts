/**
 * No request holds the main thread for 50 ms of CPU time: what is done there at once, up to the sizes from which threads do
 * it, takes less, whatever a body is made of.
 */
import { expect, test } from 'vitest';
import { configSchema } from '../../src/config/schema.ts';
import { copyNotes, createNotes } from '../../src/dialects/chat.ts';
import { withoutForeign } from '../../src/dialects/foreign.ts';
import { withoutForeign as withoutForeignParts } from '../../src/dialects/gemini/signature.ts';
import { dialects } from '../../src/dialects/index.ts';
import { writeCall } from '../../src/dialects/translate.ts';
import { endpoints } from '../../src/exchange/endpoint.ts';
import { inspectNow } from '../../src/inspect/request.ts';
import { createScrubPolicies } from '../../src/scrub/policy.ts';
import { cpuMs, shortest } from '../support/time.ts';
import { destinationAt, providers } from './providers.ts';
import { type Shape, shapes } from './shapes.ts';

/** What no request may exceed. */
const turnMaxMs = 50;
/** As large as is worked on at once, in `attempt/prepare.ts` and `inspect/by-size.ts`. */
const [translatedBytes, searchedBytes] = [64 * 1024, 128 * 1024];

const policies = createScrubPolicies(configSchema.parse({}).scrub, Buffer.alloc(32));
const { request: scope } = policies.of('acme');
const inspecting = { scope, digestKey: Buffer.alloc(32), classify: true };

function bodyOf({ body }: Shape, bytes: number): Buffer {
  const unit = JSON.stringify(body(1000)).length / 1000;
  return Buffer.from(JSON.stringify(body(Math.floor(bytes / unit))));
}

test.each(shapes)('$name', async (shape) => {
  const client = dialects[shape.dialect].chatClient;
  const endpoint = endpoints.find(({ dialect, kind }) => dialect === shape.dialect && kind === 'chat');
  if (client === null || endpoint === undefined) throw new Error(`nobody speaks ${shape.dialect}`);
  const small = bodyOf(shape, translatedBytes).toString();
  const slow: Record<string, number> = {};
  const measure = async (name: string, work: () => unknown): Promise<void> => {
    const ms = await shortest(turnMaxMs, () => cpuMs(work));
    if (ms >= turnMaxMs) slow[name] = ms;
  };
  for (const { name, chatProvider } of providers)
    await measure(`written for ${name}`, () => {
      const notes = createNotes();
      const request = client.readRequest(JSON.parse(small), notes);
      return JSON.stringify(writeCall(request, chatProvider, destinationAt(name), copyNotes(notes)).body);
    });
  const large = bodyOf(shape, searchedBytes);
  const as = dialects[shape.dialect].name;
  const request = { endpoint: { ...endpoint, inPath: null }, headers: {}, body: large };
  await measure('inspected', () => inspectNow(request, inspecting));
  await measure(
    'freed',
    () => withoutForeign(large, as, false).body.length + withoutForeignParts(large, true).length,
  );
  expect(slow).toEqual({});
});
