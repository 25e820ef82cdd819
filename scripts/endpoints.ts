/** The README's table of endpoints. */

import { fileEndpoints } from '../src/dialects/openai/beside-endpoints.ts';
import type { DialectName } from '../src/exchange/dialects.ts';
import type { Endpoint } from '../src/exchange/endpoint.ts';
import { endpoints, modelEndpoints } from '../src/listen/endpoints.ts';

const dialectTitles: Readonly<Partial<Record<DialectName, string>>> = {
  openai: 'OpenAI',
  responses: 'OpenAI',
  anthropic: 'Anthropic',
  gemini: 'Gemini',
  cohere: 'Cohere',
};

const code = (text: string): string => `\`${text}\``;

/** Every endpoint of the data port whose path says which dialect is meant. */
export const dataEndpoints: readonly (readonly [path: string, endpoint: Endpoint])[] = [
  ...endpoints,
  ...fileEndpoints,
  ...modelEndpoints,
];

/** One row for each path. */
export function endpointRows(): string[][] {
  const rows = new Map<string, { methods: string[]; endpoint: Endpoint }>();
  for (const [path, endpoint] of dataEndpoints) {
    const row = rows.get(path) ?? { methods: [], endpoint };
    row.methods.push(endpoint.method);
    rows.set(path, row);
  }
  const data = [...rows].map(([path, { methods, endpoint }]) => [
    methods.map((method) => code(`${method} ${path}`)).join(', '),
    dialectTitles[endpoint.dialect] ?? endpoint.dialect,
    code(endpoint.name),
  ]);
  return [
    ...data,
    ['`GET /v1/models`, `GET /v1/models/{id}`', 'the one the client speaks', 'always allowed'],
    ['`GET /healthz`, `GET /readyz`, `GET /metrics`', 'admin port', '–'],
    ['`GET /keys`, `POST /keys`, `DELETE /keys/{id}`', 'admin port', '–'],
  ];
}
