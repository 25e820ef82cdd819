/**
 * The simulator's stored objects, such as batches and vector stores: kept in memory, the oldest dropped first. They do
 * nothing: a batch has ended when it is made.
 */
import type { Json } from '../base/json.ts';
import { invalid, Rejection } from './errors.ts';
import { createdSeconds, type Dialect } from './exchange.ts';
import { isUpload } from './form.ts';

const objectsMax = 1000;

/** What is answered: an object as JSON, or text of another type. */
export interface StoredReply {
  readonly body: object | string | Buffer;
  readonly contentType?: string;
}

/** The objects of one simulator. */
export interface Objects {
  /** Answers a request; null: no object has such a path. Throws a `Rejection` for what the API would refuse. */
  answer(dialect: Dialect, method: string, path: string, body: Json): StoredReply | null;
  /** Keeps a whole answer of `/v1/responses`, as JSON. */
  keepResponse(text: string): void;
}

/** Objects of one type. */
interface Shape {
  readonly dialect: Dialect;
  readonly path: string;
  /** What its ids begin with. */
  readonly prefix: string;
  /** Fields that a request must have. */
  readonly needs: readonly string[];
  readonly make: (id: string, body: Json) => Json;
  /** What its deletion is answered with. */
  readonly gone?: (id: string) => object;
  /** Its list. */
  readonly list: (all: readonly Json[]) => object;
}

const listed = (data: readonly Json[]): object => ({
  object: 'list',
  data,
  first_id: data[0]?.id ?? null,
  last_id: data.at(-1)?.id ?? null,
  has_more: false,
});
const deletedAs = (object: string) => (id: string) => ({ id, object, deleted: true });
const createdText = new Date(createdSeconds * 1000).toISOString();
const counts = { processing: 0, succeeded: 1, errored: 0, canceled: 0, expired: 0 };

const shapes: readonly Shape[] = [
  {
    dialect: 'openai',
    path: '/v1/batches',
    prefix: 'batch_sim',
    needs: ['input_file_id', 'endpoint', 'completion_window'],
    make: (id, body) => ({
      id,
      object: 'batch',
      endpoint: body.endpoint,
      input_file_id: body.input_file_id,
      completion_window: body.completion_window,
      status: 'completed',
      created_at: createdSeconds,
      request_counts: { total: 1, completed: 1, failed: 0 },
      metadata: body.metadata ?? null,
    }),
    list: listed,
  },
  {
    dialect: 'openai',
    path: '/v1/vector_stores',
    prefix: 'vs_sim',
    needs: [],
    make: (id, body) => ({
      id,
      object: 'vector_store',
      name: body.name ?? null,
      status: 'completed',
      usage_bytes: 0,
      created_at: createdSeconds,
      file_counts: { in_progress: 0, completed: 0, failed: 0, cancelled: 0, total: 0 },
      metadata: body.metadata ?? null,
    }),
    gone: deletedAs('vector_store.deleted'),
    list: listed,
  },
  {
    dialect: 'openai',
    path: '/v1/conversations',
    prefix: 'conv_sim',
    needs: [],
    make: (id, body) => ({
      id,
      object: 'conversation',
      created_at: createdSeconds,
      metadata: body.metadata ?? {},
    }),
    gone: deletedAs('conversation.deleted'),
    list: listed,
  },
  {
    dialect: 'openai',
    path: '/v1/responses',
    prefix: 'resp_sim',
    needs: ['unknown'],
    make: (id) => ({ id }),
    gone: deletedAs('response.deleted'),
    list: listed,
  },
  {
    dialect: 'anthropic',
    path: '/v1/messages/batches',
    prefix: 'msgbatch_sim',
    needs: ['requests'],
    make: (id, body) => ({
      id,
      type: 'message_batch',
      processing_status: 'ended',
      request_counts: counts,
      created_at: createdText,
      ended_at: createdText,
      expires_at: createdText,
      results_url: `http://127.0.0.1/v1/messages/batches/${id}/results`,
      // Not of the API: what the results are made of.
      asked: body.requests,
    }),
    gone: (id) => ({ id, type: 'message_batch_deleted' }),
    list: listed,
  },
  {
    dialect: 'anthropic',
    path: '/v1/files',
    prefix: 'file_sim',
    needs: ['file'],
    make: (id, { file }) => ({
      id,
      type: 'file',
      filename: isUpload(file) ? file.name : '',
      mime_type: 'application/octet-stream',
      size_bytes: isUpload(file) ? file.bytes.length : 0,
      created_at: createdText,
      downloadable: true,
      asked: isUpload(file) ? file.bytes.toString('latin1') : '',
    }),
    gone: (id) => ({ id, type: 'file_deleted' }),
    list: listed,
  },
  {
    dialect: 'gemini',
    path: '/v1beta/cachedContents',
    prefix: 'sim',
    needs: ['model'],
    make: (id, body) => ({
      name: `cachedContents/${id}`,
      model: body.model,
      displayName: body.displayName,
      createTime: createdText,
      updateTime: createdText,
      expireTime: createdText,
      usageMetadata: { totalTokenCount: 4096 },
    }),
    gone: () => ({}),
    list: (all) => ({ cachedContents: all }),
  },
];

const shapeAt = (dialect: Dialect, path: string): Shape | undefined =>
  shapes.find((each) => each.dialect === dialect && `${path}/`.startsWith(`${each.path}/`));

/** Whether a path is of stored objects. */
export const isObjectPath = (dialect: Dialect, path: string): boolean =>
  shapeAt(dialect === 'responses' ? 'openai' : dialect, path) !== undefined;

/** An object as it is shown. */
const shown = ({ asked: _, ...object }: Json): object => object;

/** The results of a batch of messages: a line of JSON for each. */
function results({ asked }: Json): StoredReply {
  const lines = (Array.isArray(asked) ? asked : []).map((one: Json) =>
    JSON.stringify({
      custom_id: one.custom_id,
      result: {
        type: 'errored',
        error: { type: 'error', error: { type: 'api_error', message: 'Simulated.' } },
      },
    }),
  );
  return { body: `${lines.join('\n')}\n`, contentType: 'application/x-jsonl' };
}

/** No objects yet. */
export function createObjects(): Objects {
  const kept = new Map<Shape, Map<string, Json>>(shapes.map((shape) => [shape, new Map()]));
  let count = 0;

  const add = (shape: Shape, id: string, made: Json): Json => {
    const all = kept.get(shape);
    all?.set(id, made);
    if (all !== undefined && all.size > objectsMax) all.delete(all.keys().next().value ?? '');
    return made;
  };
  const create = (shape: Shape, body: Json): StoredReply => {
    for (const field of shape.needs)
      if (body[field] === undefined) invalid(`'${field}' is a required property`, field);
    const id = shape.prefix + String(++count).padStart(8, '0');
    return { body: shown(add(shape, id, shape.make(id, body))) };
  };
  const about = (shape: Shape, method: string, id: string, what: string): StoredReply | null => {
    const found = kept.get(shape)?.get(id);
    if (found === undefined) {
      const type = shape.dialect === 'anthropic' ? 'not_found_error' : 'invalid_request_error';
      throw new Rejection({ status: 404, type, message: `No such object: ${id}` });
    }
    if (method === 'DELETE' && what === '' && shape.gone !== undefined) {
      kept.get(shape)?.delete(id);
      return { body: shape.gone(id) };
    }
    if (method === 'GET' && what === 'results') return results(found);
    if (method === 'GET' && what === 'content')
      return { body: Buffer.from(String(found.asked), 'latin1'), contentType: 'application/octet-stream' };
    if (method === 'GET' && what === 'input_items') return { body: listed([]) };
    const isMade = (method === 'GET' && what === '') || (method === 'POST' && ['', 'cancel'].includes(what));
    return isMade ? { body: shown(found) } : null;
  };

  return {
    answer(dialect, method, path, body) {
      const shape = shapeAt(dialect, path);
      if (shape === undefined) return null;
      const [, id = '', what = ''] = path.slice(shape.path.length).split('/');
      if (id !== '') return about(shape, method, id, what);
      if (method === 'POST') return create(shape, body);
      const all = [...(kept.get(shape)?.values() ?? [])];
      return method === 'GET' ? { body: shape.list(all.map(shown) as Json[]) } : null;
    },
    keepResponse(text) {
      const response: Json = JSON.parse(text);
      const shape = shapes.find(({ path }) => path === '/v1/responses');
      if (shape !== undefined && typeof response.id === 'string') add(shape, response.id, response);
    },
  };
}
