/** Writes what is generated from the source: the published JSON Schema, price tables, and marked parts of documents. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { z } from 'zod';
import { evaluate, savedScores, scoreTable } from '../bench/pii/eval.ts';
import { positives } from '../bench/pii/positives.ts';
import { catalogue } from '../src/base/errors.ts';
import { help } from '../src/cli.ts';
import { help as costsHelp } from '../src/commands/costs.ts';
import { help as keysHelp } from '../src/commands/keys.ts';
import { configSchema } from '../src/config/schema.ts';
import { type Preset, presets } from '../src/dialects/presets.ts';
import { piiKinds } from '../src/native/pii.ts';
import { usualAction } from '../src/scrub/action.ts';
import { faults } from '../src/simulate/faults.ts';
import { grafanaFile, rulesFile, rulesManifest } from './alerts.ts';
import { carriedRows, chatProviders, dialectRows } from './dialects.ts';
import { endpointRows, passedRows } from './endpoints.ts';
import { dialectFaultRows, faultClients, faultProviders } from './faults.ts';
import { licenceRows } from './licences.ts';
import { writePrices } from './prices.ts';
import { alertParts, errorParts, lineParts } from './runbook.ts';
import { sdkNotes, sdkProviders, sdkRows } from './sdks.ts';

type Schema = z.core.JSONSchema.BaseSchema;

const root = new URL('../', import.meta.url);

/** Numbers and booleans may also be environment variables, which editors must not mark as errors. */
const orVariable = { type: 'string', pattern: '^\\$\\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\\}$' } as const;

/** The configuration's JSON Schema, for editors. */
export function publishedSchema(): Schema {
  const schema = z.toJSONSchema(configSchema, {
    io: 'input',
    override: ({ jsonSchema }) => {
      // Used by loading and reloading only; editors don't know them.
      delete jsonSchema.restart;
      delete jsonSchema.fromFile;
      if (!['integer', 'number', 'boolean'].includes(String(jsonSchema.type))) return;
      const { description, default: standard, ...value } = jsonSchema;
      for (const key of Object.keys(value)) delete jsonSchema[key];
      jsonSchema.anyOf = [value as Schema, orVariable];
    },
  });
  return { ...schema, title: 'Sidegate configuration' };
}

const code = (text: string): string => `\`${text}\``;

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

/** A number as people write it: bytes in KiB, MiB or GiB. */
function amount(key: string, value: number): string {
  const units = [
    ['GiB', 1024 ** 3],
    ['MiB', 1024 ** 2],
    ['KiB', 1024],
  ] as const;
  const unit = /bytes/i.test(key) ? units.find(([, size]) => value >= size && value % size === 0) : undefined;
  if (unit !== undefined) return `${value / unit[1]} ${unit[0]}`;
  return value % 1e9 === 0 && value > 0 ? value.toExponential().replace('+', '') : String(value);
}

function valueText(key: string, schema: Schema): string {
  if (schema.enum !== undefined) return schema.enum.map((value) => code(String(value))).join(', ');
  if (schema.type === 'array') return 'list';
  if (schema.type === 'object') return 'mapping';
  if (schema.type === 'string') return 'text';
  if (schema.type === 'boolean') return '`true`, `false`';
  if (schema.anyOf !== undefined)
    return schema.anyOf.map((each) => valueText(key, each as Schema)).join(' or ');
  if (schema.type !== 'integer' && schema.type !== 'number') return 'anything';
  const most = schema.maximum === undefined ? '' : amount(key, schema.maximum);
  if (schema.exclusiveMinimum !== undefined) return `more than ${schema.exclusiveMinimum}, at most ${most}`;
  return `${amount(key, schema.minimum ?? 0)}–${most}`;
}

function defaultText(key: string, schema: Schema, required: boolean): string {
  if (schema.default === undefined) return required ? '**required**' : '–';
  const text = code(JSON.stringify(schema.default));
  const readable = typeof schema.default === 'number' ? amount(key, schema.default) : '';
  return readable.endsWith('B') ? `${text} (${readable})` : text;
}

/** A row for each setting under a schema, in the schema's order. */
function rows(schema: Schema, path: string, required: boolean): string[][] {
  const key = path.split('.').at(-1) ?? '';
  const own = [
    code(path),
    valueText(key, schema),
    defaultText(key, schema, required),
    [schema.description ?? '', ...(schema.restart === true ? ['Needs a restart.'] : [])].join(' '),
  ];
  const below: string[][] = [];
  for (const [name, child] of Object.entries(schema.properties ?? {})) {
    const needed = schema.required?.includes(name) ?? false;
    below.push(...rows(child as Schema, path === '' ? name : `${path}.${name}`, needed));
  }
  const each = schema.type === 'array' ? schema.items : schema.additionalProperties;
  if (typeof each === 'object' && 'properties' in each) {
    below.push(...rows(each as Schema, path + (schema.type === 'array' ? '[]' : '.*'), false));
  }
  // A section without a description has no row.
  return schema.description === undefined ? below : [own, ...below];
}

const configTable = (): string =>
  table(
    ['key', 'value', 'default', 'what it does'],
    rows(z.toJSONSchema(configSchema, { io: 'input' }), '', false),
  );

const errorTable = (): string =>
  table(
    ['code', 'status', 'source', 'retryable', 'what to do'],
    Object.entries(catalogue).map(([name, { status, source, retryable, hint }]) => [
      code(name),
      String(status),
      source,
      retryable ? 'yes' : 'no',
      hint,
    ]),
  );

/** The source of a row; † marks those taken from third parties that quote the page. */
const sourceText = ({ docs, quoted }: Preset): string =>
  docs.startsWith('https:')
    ? `<${docs}>${quoted ? ' †' : ''}`
    : docs.replace(/^docs\/(.*\/(.*)\.md)$/, '[$2](../$1)');

const presetTable = (): string =>
  table(
    ['preset', 'dialect', 'base URL', 'credential', 'prices', 'source'],
    Object.entries(presets).map(([name, preset]) => [
      code(name),
      preset.dialect,
      preset.baseUrl === null ? 'inside the process' : code(preset.baseUrl),
      preset.credentialEnv === null ? 'none' : code(preset.credentialEnv),
      preset.prices === null ? '–' : 'yes',
      sourceText(preset),
    ]),
  );

const faultTable = (): string =>
  table(
    ['fault', 'in a stream', 'in a whole reply'],
    Object.entries(faults).map(([name, fault]) => [
      code(name),
      fault.stream,
      'whole' in fault ? fault.whole : 'the same',
    ]),
  );

const dialectTable = (): string =>
  table(['dialect', 'clients chat at', 'providers chat', 'also passed through'], dialectRows());

const carriedTable = (): string => table(['feature', ...chatProviders], carriedRows());

const endpointTable = (): string => table(['endpoint', 'dialect', 'name in a key'], endpointRows());
const passedTable = (): string => table(['path', 'dialect', 'name in a key'], passedRows());
const sdkTable = (): string => `${table(['client', ...sdkProviders], sdkRows())}\n\n${sdkNotes()}`;

const dialectFaultTable = (): string =>
  `Number of tests, with clients of ${faultClients()}. Replies of Replicate come in one piece, so they can't be cut.\n\n` +
  table(['what the provider does', ...faultProviders], dialectFaultRows());

/** The kinds of personal data, by their rows in the native core. */
const kindTable = (): string =>
  table(
    ['kind', 'what', 'unset'],
    piiKinds.map((kind) => [
      code(kind.name),
      `${kind.several}${kind.recognised ? ', by a [recogniser](#names-places-and-organisations)' : ''}`,
      code(usualAction(kind)),
    ]),
  );

const helpText = (): string =>
  [help, keysHelp, costsHelp].map((text) => `\`\`\`text\n${text.trim()}\n\`\`\``).join('\n\n');

/** Rows of RESULTS.md that the README quotes: title in the README, name of the row, unit. */
const measured = [
  ['CPU time of a cache miss, every stage on', 'cache miss', 'µs'],
  ['CPU time of a cache hit', 'exact-cache hit', 'µs'],
  ['memory after 100,000 requests', 'after the load', 'MB'],
] as const;

/** The first row of RESULTS.md with each of those names. @throws if one is missing */
function measuredTable(): string {
  const lines = readFileSync(new URL('bench/RESULTS.md', root), 'utf8').split('\n');
  return table(
    ['', 'bare proxy', 'Sidegate', 'ratio'],
    measured.map(([title, name, unit]) => {
      const row = lines.find((line) => line.startsWith(`| ${name} |`));
      if (row === undefined) throw new Error(`bench/RESULTS.md has no row "${name}".`);
      const [, , floor, sidegate, ratio] = row.split('|').map((cell) => cell.trim().replaceAll('*', ''));
      return [title, `${floor} ${unit}`, `${sidegate} ${unit}`, ratio ?? ''];
    }),
  );
}

/** The generated parts of each page, by the name in their markers. */
export const generated: Readonly<Record<string, Readonly<Record<string, () => string>>>> = {
  'README.md': { measured: measuredTable },
  'docs/guides/privacy.md': {
    kinds: kindTable,
    presidio: () => scoreTable(savedScores()),
    made: () => scoreTable(evaluate(positives(300))),
  },
  'docs/guides/runbook.md': { alerts: alertParts, lines: lineParts, errors: errorParts },
  'docs/reference/cli.md': { help: helpText },
  'docs/reference/configuration.md': { config: configTable },
  'docs/reference/dialects.md': { dialects: dialectTable, carried: carriedTable, sdks: sdkTable },
  'docs/reference/endpoints.md': { endpoints: endpointTable, passed: passedTable },
  'docs/reference/errors.md': { errors: errorTable },
  'docs/reference/faults.md': { faults: faultTable, 'dialect-faults': dialectFaultTable },
  'docs/reference/licences.md': { licences: () => table(['licence', 'packages'], licenceRows()) },
  'docs/reference/presets.md': { presets: presetTable },
};

/**
 * Regenerates the generated parts of a page.
 * @param page one of `generated`
 * @throws if the markers of a part are missing
 */
export function withGenerated(page: string, text: string): string {
  let made = text;
  for (const [name, make] of Object.entries(generated[page] ?? {})) {
    const [open, close] = [`<!-- generated:${name} -->\n`, `<!-- /generated:${name} -->`];
    const [before, rest, ...more] = made.split(open);
    const end = rest?.indexOf(close) ?? -1;
    if (before === undefined || rest === undefined || end < 0 || more.length > 0)
      throw new Error(`${page} must contain ${open.trim()} and ${close} exactly once.`);
    made = `${before}${open}\n${make()}\n\n${rest.slice(end)}`;
  }
  return made;
}

/** Writes a file only if it changes, so that build tools don't see a new modification time. */
function write(name: string, text: string): void {
  const file = new URL(name, root);
  if (existsSync(file) && readFileSync(file, 'utf8') === text) return;
  writeFileSync(file, text);
  process.stdout.write(`${name} written\n`);
}

if (import.meta.main) {
  const prices = 'src/catalog/prices/';
  await writePrices(new URL(prices, root), (name, text) => write(prices + name, text));
  write('deploy/sidegate.schema.json', `${JSON.stringify(publishedSchema(), null, 2)}\n`);
  write('deploy/prometheus-rules.yaml', rulesFile());
  write('deploy/prometheus-rule.kubernetes.yaml', rulesManifest());
  write('deploy/grafana-dashboard.json', grafanaFile());
  for (const page of Object.keys(generated))
    write(page, withGenerated(page, readFileSync(new URL(page, root), 'utf8')));
}
