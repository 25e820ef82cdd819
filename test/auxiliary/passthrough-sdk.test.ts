/** The official SDKs, unmodified, at what is only passed on, before the simulator. */
import { hash } from 'node:crypto';
import Anthropic, { toFile as toAnthropicFile } from '@anthropic-ai/sdk';
import { GoogleGenAI } from '@google/genai';
import OpenAI, { toFile } from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestSidecar, type TestSidecar } from '../support/sidecar.ts';

let sidecar: TestSidecar;
const tenants = ['a', 'b'] as const;
type Tenant = (typeof tenants)[number];

beforeAll(async () => {
  const sim = (kind: string) => ({
    preset: `simulator${kind}`,
    passthrough: 'unscrubbed' as const,
  });
  sidecar = await startTestSidecar({
    authenticate: { keys: tenants.map((tenant) => ({ id: tenant, sha256: hash('sha256', tenant), tenant })) },
    providers: {
      openai: sim(''),
      responses: sim('-responses'),
      anthropic: sim('-anthropic'),
      gemini: sim('-gemini'),
    },
    routes: [{ model: 'gpt-*', targets: [{ provider: 'responses' }] }],
  });
});
afterAll(() => sidecar.stop());

const openai = (tenant: Tenant) =>
  new OpenAI({ baseURL: `${sidecar.url}/v1`, apiKey: tenant, maxRetries: 0 });
const anthropic = (tenant: Tenant) => new Anthropic({ baseURL: sidecar.url, apiKey: tenant, maxRetries: 0 });
const gemini = (tenant: Tenant) => new GoogleGenAI({ apiKey: tenant, httpOptions: { baseUrl: sidecar.url } });
const notThere = { status: 404 };

async function all<T>(list: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const one of list) found.push(one);
  return found;
}

describe("OpenAI's", () => {
  test('batches, of a file that was uploaded', async () => {
    const { files, batches } = openai('a');
    const file = await files.create({
      file: await toFile(Buffer.from('{}\n'), 'in.jsonl'),
      purpose: 'batch',
    });
    const body = {
      input_file_id: file.id,
      endpoint: '/v1/chat/completions' as const,
      completion_window: '24h' as const,
    };
    const made = await batches.create(body);
    expect(made).toMatchObject({ object: 'batch', input_file_id: file.id, status: 'completed' });
    expect((await batches.retrieve(made.id)).id).toBe(made.id);
    expect((await batches.cancel(made.id)).id).toBe(made.id);
    expect((await all(batches.list())).map(({ id }) => id)).toEqual([made.id]);
    expect((await all(files.list())).map(({ id }) => id)).toEqual([file.id]);
    const other = openai('b');
    await expect(other.batches.retrieve(made.id)).rejects.toMatchObject(notThere);
    await expect(other.files.retrieve(file.id)).rejects.toMatchObject(notThere);
    await expect(other.files.delete(file.id)).rejects.toMatchObject(notThere);
    expect(await all(other.batches.list())).toEqual([]);
    await expect(batches.create({ ...body, input_file_id: undefined as never })).rejects.toMatchObject({
      status: 400,
      param: 'input_file_id',
    });
  });

  test('vector stores and conversations', async () => {
    const { vectorStores, conversations } = openai('a');
    const store = await vectorStores.create({ name: 'x', metadata: { for: 'a test' } });
    expect(await vectorStores.retrieve(store.id)).toMatchObject({ name: 'x', metadata: { for: 'a test' } });
    expect((await all(vectorStores.list())).map(({ id }) => id)).toEqual([store.id]);
    await expect(openai('b').vectorStores.delete(store.id)).rejects.toMatchObject(notThere);
    expect((await vectorStores.delete(store.id)).deleted).toBe(true);
    const conversation = await conversations.create({ metadata: { for: 'a test' } });
    expect((await conversations.retrieve(conversation.id)).metadata).toEqual({ for: 'a test' });
  });

  test('responses, after they were made', async () => {
    const { responses } = openai('a');
    const made = await responses.create({ model: 'gpt-5', input: 'Hi' });
    expect((await responses.retrieve(made.id)).output_text).toBe(made.output_text);
    expect(await all(responses.inputItems.list(made.id))).toEqual([]);
    expect((await responses.cancel(made.id)).id).toBe(made.id);
    await expect(openai('b').responses.retrieve(made.id)).rejects.toMatchObject(notThere);
    await responses.delete(made.id);
    await expect(responses.retrieve(made.id)).rejects.toMatchObject(notThere);
    const record = await sidecar.recordWhere(
      ({ endpoint, status }) => endpoint === 'stored_responses' && status === 200,
    );
    expect(record).toMatchObject({ target: 'responses/stored_responses', tenant: 'a' });
  });
});

describe("Anthropic's", () => {
  test('batches of messages, with their results', async () => {
    const { batches } = anthropic('a').messages;
    const params = { model: 'claude', max_tokens: 9, messages: [{ role: 'user' as const, content: 'Hi' }] };
    const made = await batches.create({ requests: [{ custom_id: 'one', params }] });
    expect((await batches.retrieve(made.id)).processing_status).toBe('ended');
    expect((await all(batches.list())).map(({ id }) => id)).toEqual([made.id]);
    // Its URL is the provider's; asked for there, it would take the caller's key along.
    expect(made.results_url).toBe(`/v1/messages/batches/${made.id}/results`);
    expect(await all(await batches.results(made.id))).toMatchObject([{ custom_id: 'one' }]);
    await expect(anthropic('b').messages.batches.cancel(made.id)).rejects.toMatchObject(notThere);
    expect((await batches.delete(made.id)).type).toBe('message_batch_deleted');
  });

  test('files', async () => {
    const { files } = anthropic('a').beta;
    const bytes = Buffer.from(Array.from({ length: 999 }, (_, at) => at % 256));
    const made = await files.upload({ file: await toAnthropicFile(bytes, 'a.bin') });
    expect(made).toMatchObject({ filename: 'a.bin', size_bytes: 999 });
    expect((await files.retrieveMetadata(made.id)).id).toBe(made.id);
    expect((await all(files.list())).map(({ id }) => id)).toEqual([made.id]);
    const content = await files.download(made.id);
    expect(Buffer.from(await content.arrayBuffer()).equals(bytes)).toBe(true);
    await expect(anthropic('b').beta.files.download(made.id)).rejects.toMatchObject(notThere);
    await files.delete(made.id);
  });
});

test("Gemini's caches", async () => {
  const { caches } = gemini('a');
  const made = await caches.create({ model: 'gemini-2.5-flash', config: { displayName: 'x' } });
  const name = made.name ?? '';
  expect((await caches.get({ name })).displayName).toBe('x');
  expect((await all(await caches.list())).map((each) => each.name)).toEqual([name]);
  expect(await all(await gemini('b').caches.list())).toEqual([]);
  await expect(gemini('b').caches.get({ name })).rejects.toMatchObject(notThere);
  await caches.delete({ name });
});
