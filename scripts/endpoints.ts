/** The table of endpoints. */

import type { DialectName } from '../src/exchange/dialects.ts';
import { type Endpoint, endpoints, isPassed } from '../src/exchange/endpoint.ts';

const dialectTitles: Readonly<Partial<Record<DialectName, string>>> = {
  openai: 'OpenAI',
  responses: 'OpenAI',
  anthropic: 'Anthropic',
  gemini: 'Gemini',
  cohere: 'Cohere',
};

const code = (text: string): string => `\`${text}\``;

/** One row for each path. */
export function endpointRows(): string[][] {
  const rows = new Map<string, { methods: string[]; endpoint: Endpoint }>();
  for (const endpoint of endpoints) {
    const { path, kind } = endpoint;
    if (kind === 'models' || isPassed(endpoint)) continue;
    const row = rows.get(path) ?? { methods: [], endpoint };
    row.methods.push(endpoint.method);
    rows.set(path, row);
  }
  const data = [...rows].map(([path, { methods, endpoint }]) => [
    methods.map((method) => code(`${method} ${path}`)).join(', '),
    dialectTitles[endpoint.dialect] ?? endpoint.dialect,
    endpoint.kind === 'feedback' ? 'always allowed' : code(endpoint.name),
  ]);
  return [
    ...data,
    ['`GET /v1/models`, `GET /v1/models/{id}`', 'the one the client speaks', 'always allowed'],
    ['`GET /`, `GET /healthz`, `GET /readyz`, `GET /metrics`', 'admin port', '–'],
    ['`GET /keys`, `POST /keys`, `DELETE /keys/{id}`', 'admin port', '–'],
    ['`GET /limits`', 'admin port', '–'],
    ['`GET /cache`, `DELETE /cache`', 'admin port', '–'],
  ];
}

/** One row for each path that is only passed on. */
export const passedRows = (): string[][] =>
  endpoints
    .filter(isPassed)
    .map(({ path, dialect, name, kind }) => [
      kind === 'session' ? `${code(path)} (WebSocket)` : code(path),
      dialectTitles[dialect] ?? dialect,
      code(name),
    ]);
