/** Answers `GET /v1/models` and `GET /v1/models/{id}`, in OpenAI's or Anthropic's form. */
import { createdSeconds, type Dialect } from './exchange.ts';

/** Models listed when the settings name none, which means that any name is served. */
const examples = ['simulated-large', 'simulated-small', 'simulated-embedding'];

/** Whether a model is served. @param models those of the settings; empty: any */
export function serves(models: readonly string[], model: string): boolean {
  return models.length === 0 || models.includes(model);
}

function describe(dialect: Dialect, id: string): object {
  if (dialect !== 'anthropic')
    return { id, object: 'model', created: createdSeconds, owned_by: 'sidegate-simulator' };
  const createdAt = new Date(createdSeconds * 1000).toISOString().replace('.000Z', 'Z');
  return { type: 'model', id, display_name: id, created_at: createdAt };
}

/** The body of one model. */
export function modelBody(dialect: Dialect, id: string): string {
  return JSON.stringify(describe(dialect, id));
}

/** The body of the list; Anthropic's is a single page. */
export function modelsBody(dialect: Dialect, models: readonly string[]): string {
  const ids = models.length === 0 ? examples : models;
  const data = ids.map((id) => describe(dialect, id));
  if (dialect === 'openai') return JSON.stringify({ object: 'list', data });
  return JSON.stringify({ data, has_more: false, first_id: ids[0] ?? null, last_id: ids.at(-1) ?? null });
}
