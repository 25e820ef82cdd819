/** The expected result of `inspect` for a body, computed the slow and obvious way from the parsed tree. */
import { createHash, createHmac } from 'node:crypto';
import { findPii } from './native-pii.ts';
import { type Node, parse } from './native-tree.ts';

/** The registers and other results of `inspect`; after a fault only `status`, `offset` and `field`. */
export interface Expected {
  readonly status: number;
  readonly offset: number;
  readonly field: number;
  readonly head?: readonly number[];
  /** Where the placeholder and the value of each are. */
  readonly values?: readonly (readonly [from: number, to: number, start: number, end: number])[];
  /** Distinct values, those included that are not restored. */
  readonly distinct?: number;
  /** JSON text of the scrubbed body, if anything was scrubbed. */
  readonly scrubbed?: string | undefined;
  readonly plainDigest?: string;
}

const depth = (node: Node): number =>
  node.type === 'object' || node.type === 'array'
    ? 1 + Math.max(0, ...node.items.map(depth), ...node.members.map(({ value }) => depth(value)))
    : 0;

const fields = [
  'model',
  'messages',
  'stream',
  'max_tokens',
  'max_completion_tokens',
  'n',
  'stream_options',
  'tools',
];
const allFields = [...fields, 'input', 'system', 'response_format', 'user'];
const anthropic = ['model', 'messages', 'stream', 'max_tokens', 'tools', 'system'];
const fieldsOf = [[...fields, 'response_format', 'user'], ['model', 'input', 'user'], anthropic, anthropic];

const count: readonly Node['type'][] = ['number', 'null'];
const types: Readonly<Record<string, readonly Node['type'][]>> = {
  model: ['string'],
  messages: ['array'],
  stream: ['boolean', 'null'],
  max_tokens: count,
  max_completion_tokens: count,
  n: count,
  stream_options: ['object', 'null'],
  tools: ['array', 'null'],
  input: ['string', 'array'],
  system: ['string', 'array', 'null'],
  response_format: ['object', 'null'],
  user: ['string', 'null'],
};

function hasType(name: string, node: Node): boolean {
  if (!types[name]?.includes(node.type)) return false;
  const number = Number(node.text);
  return node.type !== 'number' || (Number.isInteger(number) && number >= 0);
}

/** The first field that is repeated or has the wrong type. */
function fault(root: Node, endpoint: number): Expected | null {
  if (root.type !== 'object') return { status: 5, offset: root.start, field: 0 };
  const seen = new Set<string>();
  for (const { key, value } of root.members) {
    const field = allFields.indexOf(key.text);
    if (!fieldsOf[endpoint]?.includes(key.text)) continue;
    if (seen.has(key.text)) return { status: 4, offset: key.start, field };
    seen.add(key.text);
    if (!hasType(key.text, value)) return { status: 6, offset: value.start, field };
    if (key.text !== 'stream_options') continue;
    const twice = value.members.filter((member) => member.key.text === 'include_usage')[1];
    if (twice) return { status: 4, offset: twice.key.start, field };
  }
  return null;
}

const labels = new Set(
  (
    'type role id tool_call_id tool_use_id name data url file_data file_id signature encrypted_content ' +
    'media_type detail format cache_control'
  ).split(' '),
);

/** Every string below a node, with its key, or the key of the array it is in. */
function strings(node: Node, key: string): { readonly node: Node; readonly key: string }[] {
  if (node.type === 'string') return [{ node, key }];
  return [
    ...node.items.flatMap((item) => strings(item, key)),
    ...node.members.flatMap((member) => strings(member.value, member.key.text)),
  ];
}

/** The strings that are searched for personal data, in document order. */
function searched(node: Node, key: string, level: number): Node[] {
  if (node.type === 'string') {
    const kept = key === 'signature' || key === 'encrypted_content' || (level === 1 && key === 'model');
    return kept ? [] : [node];
  }
  return [
    ...node.items.flatMap((item) => searched(item, key, level + 1)),
    ...node.members.flatMap((member) => [
      ...(level > 0 ? [member.key] : []),
      ...searched(member.value, member.key.text, level + 1),
    ]),
  ];
}

function lookup(node: Node | undefined, ...names: readonly string[]): Node | undefined {
  let found = node;
  // Like JSON.parse: of repeated keys, the last one counts.
  for (const name of names) found = found?.members.findLast(({ key }) => key.text === name)?.value;
  return found;
}

const given = (node: Node | undefined): boolean => node !== undefined && node.type !== 'null';
const isText = (node: Node | undefined, ...words: readonly string[]): boolean =>
  node?.type === 'string' && words.includes(node.text);

/** All values of a key, which may be repeated where that isn't checked. */
const all = (node: Node, name: string): Node[] =>
  node.members.filter(({ key }) => key.text === name).map(({ value }) => value);

/** The parts of a content array, and those nested in them. */
function parts(holder: Node): Node[] {
  const own = all(holder, 'content').flatMap((content) =>
    content.items.filter(({ type }) => type === 'object'),
  );
  return own.flatMap((part) => [part, ...parts(part)]);
}

const isEscaped = (node: Node | undefined): boolean =>
  node?.chars.some(({ c, start, end }) => Buffer.byteLength(c) !== end - start) ?? false;

/** The last text of the last message, if that is the user's. */
function question(root: Node, endpoint: number): Node | undefined {
  const messages = endpoint === 1 ? undefined : lookup(root, 'messages');
  const last = messages?.items.findLast(({ type }) => type === 'object');
  if (last === undefined) return undefined;
  const role = all(last, 'role').findLast(({ type }) => type === 'string');
  if (!isText(role, 'user') || isEscaped(role)) return undefined;
  const texts = all(last, 'content').flatMap((content) =>
    content.type === 'string' ? [content] : content.items.flatMap((part) => all(part, 'text')),
  );
  return texts.findLast(({ type }) => type === 'string');
}

/** What is to be written to a cache: objects called `cache_control`, wherever they are, in lists too. */
const cached = (node: Node, name = ''): Node[] => [
  ...(node.type === 'object' && name === 'cache_control' ? [node] : []),
  ...node.items.flatMap((item) => cached(item, name)),
  ...node.members.flatMap(({ key, value }) => cached(value, key.text)),
];

const served = (root: Node, service: string): boolean =>
  [...all(root, 'service_tier'), ...all(root, 'speed')].some((node) => isText(node, service));

const isImage = (type: Node): boolean => isText(type, 'image_url', 'image', 'input_image');

function imagesOf(root: Node, endpoint: number): number {
  const content = endpoint === 1 ? [] : (lookup(root, 'messages')?.items ?? []).flatMap(parts);
  return content.flatMap((part) => all(part, 'type')).filter(isImage).length;
}

function flags(root: Node, endpoint: number): number {
  const chat = endpoint === 0;
  const talk = endpoint !== 1;
  const claude = endpoint >= 2;
  const tools = talk ? (lookup(root, 'tools')?.items ?? []) : [];
  const functions = chat ? all(root, 'functions').flatMap(({ items }) => items) : [];
  const content = talk ? (lookup(root, 'messages')?.items ?? []).flatMap(parts) : [];
  const partTypes = content.flatMap((part) => all(part, 'type'));
  const options = chat ? lookup(root, 'stream_options') : undefined;
  const formats = chat ? all(lookup(root, 'response_format') ?? root, 'type') : [];
  const format = chat && given(lookup(root, 'response_format')) ? formats : [];
  const reasons = [...all(root, 'reasoning'), ...all(root, 'reasoning_effort')].filter(
    (node) => given(node) && node.text !== 'false' && !isText(node, 'none'),
  );
  const thinks = all(root, 'thinking').filter(
    (node) => node.type === 'object' && !isText(all(node, 'type').at(-1), 'disabled'),
  );
  const outputs = [
    ...all(root, 'output_format'),
    ...all(root, 'output_config').flatMap((node) => all(node, 'format')),
  ].filter(given);
  const hosted = tools
    .flatMap((tool) => all(tool, 'type'))
    .filter((type) => given(type) && !isText(type, 'custom', 'function'));
  const bits: [boolean, number][] = [
    [talk && lookup(root, 'stream')?.text === 'true', 1],
    [lookup(options, 'include_usage')?.text === 'true', 2],
    [tools.length + functions.length > 0, 4],
    [partTypes.some(isImage), 8],
    [format.some((type) => isText(type, 'json_schema', 'json_object')) || (claude && outputs.length > 0), 16],
    [reasons.length + thinks.length > 0, 32],
    [partTypes.some((type) => isText(type, 'input_audio', 'file', 'document')), 64],
    [partTypes.some((type) => isText(type, 'input_audio')), 2 ** 26],
    [isEscaped(lookup(root, 'model')), 128],
    [(claude && hosted.length > 0) || (chat && all(root, 'web_search_options').some(given)), 256],
    [options?.type === 'object', 512],
    [all(root, 'temperature').some(({ type, text }) => type === 'number' && Number(text) > 0), 1024],
    [isEscaped(question(root, endpoint)), 2048],
    [served(root, 'priority'), 4096],
    [served(root, 'fast'), 8192],
    [all(root, 'background').some(({ type, text }) => type !== 'string' && text === 'true'), 2 ** 16],
    [cached(root).length > 0, 2 ** 14],
    [cached(root).some((node) => all(node, 'ttl').some((ttl) => isText(ttl, '1h'))), 2 ** 15],
  ];
  return bits.reduce((sum, [set, bit]) => sum + (set ? bit : 0), 0);
}

/** The larger of both fields for the longest reply: engines differ on which they know. */
function most(root: Node, endpoint: number): number | undefined {
  const both = ['max_completion_tokens', 'max_tokens'].flatMap((name) => limit(root, endpoint, name) ?? []);
  return both.length === 0 ? undefined : Math.max(...both);
}

function limit(root: Node, endpoint: number, ...names: readonly string[]): number | undefined {
  for (const name of names) {
    const node = fieldsOf[endpoint]?.includes(name) ? lookup(root, name) : undefined;
    if (node && given(node)) return Math.min(Number(node.text), 0xffff_fffe);
  }
  return undefined;
}

/** A value found: how it is reported, and where it occurs first. */
interface Value {
  readonly placeholder: string;
  readonly start: number;
  readonly end: number;
}

interface Edit {
  readonly start: number;
  readonly end: number;
  readonly placeholder: string;
}

function scrub(root: Node, kinds: number): { values: Value[]; edits: Edit[]; distinct: number } {
  const values = new Map<string, Value>();
  const edits: Edit[] = [];
  for (const node of kinds === 0 ? [] : searched(root, '', 0)) {
    // Nothing personal is shorter.
    if ((node.chars.at(-1)?.end ?? 0) - (node.chars[0]?.start ?? 0) < 3) continue;
    for (const { from, to } of findPii(node.chars)) {
      const chars = node.chars.slice(from, to);
      const text = chars.map(({ c }) => c).join('');
      const start = chars[0]?.start ?? 0;
      const end = chars.at(-1)?.end ?? 0;
      const placeholder = values.get(text)?.placeholder ?? placeholderOf(text);
      if (!values.has(text)) values.set(text, { placeholder, start, end });
      edits.push({ start, end, placeholder });
    }
  }
  // What would need an escape where it is put back isn't.
  const restored = [...values].filter(([text]) => !/[\\"\0-\x1f]/.test(text));
  return { values: restored.map(([, value]) => value), edits, distinct: values.size };
}

/** What the policies that are compared here are keyed with, and whose the values are. */
export const reference = { key: 'the key of placeholders', tenant: 'acme' };

/** The placeholder of an e-mail address. */
function placeholderOf(value: string): string {
  const sized = (part: string): Buffer => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(Buffer.byteLength(part));
    return Buffer.concat([length, Buffer.from(part)]);
  };
  const digest = createHmac('sha256', reference.key)
    .update(Buffer.concat([sized(reference.tenant), sized('EMAIL'), Buffer.from(value)]))
    .digest();
  const code = [...digest.subarray(0, 6)].map((byte) => '0123456789ABCDEFGHJKMNPQRSTVWXYZ'[byte & 31]);
  return `[EMAIL_${code.join('')}]`;
}

/** The value of a node as JSON.parse would return it, with the edits applied. */
function toValue(node: Node, edits: readonly Edit[]): unknown {
  const text = ({ start, end, chars }: Node): string => {
    let result = '';
    const own = edits.filter((edit) => edit.start >= start && edit.end <= end);
    for (const char of chars) {
      const edit = own.find((candidate) => candidate.start <= char.start && char.end <= candidate.end);
      if (!edit) result += char.c;
      else if (edit.start === char.start) result += edit.placeholder;
    }
    return result;
  };
  if (node.type === 'string') return text(node);
  if (node.type === 'array') return node.items.map((item) => toValue(item, edits));
  if (node.type !== 'object') return JSON.parse(node.text);
  const result: Record<string, unknown> = {};
  for (const { key, value } of node.members) {
    const descriptor = { value: toValue(value, edits), enumerable: true, writable: true, configurable: true };
    Object.defineProperty(result, text(key), descriptor);
  }
  return result;
}

/** The expected result of `inspect`. `valuesMax`: how many distinct values there is room for. */
export function expect(body: Buffer, endpoint: number, kinds: number, valuesMax: number): Expected {
  const fails = (run: () => unknown): boolean => {
    try {
      run();
      return false;
    } catch {
      return true;
    }
  };
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  if (fails(() => decoder.decode(body))) return { status: 2, offset: -1, field: 0 };
  if (fails(() => JSON.parse(decoder.decode(body)))) return { status: 1, offset: -1, field: 0 };
  const root = parse(body);
  if (depth(root) > 256) return { status: 3, offset: -1, field: 0 };
  const found = fault(root, endpoint);
  if (found) return found;
  const { values, edits, distinct } = scrub(root, kinds);
  if (values.length > valuesMax) return { status: 7, offset: values[valuesMax]?.start ?? 0, field: 0 };

  const moved = (offset: number): number =>
    edits
      .filter(({ end }) => end <= offset)
      .reduce((sum, { start, end, placeholder }) => sum + placeholder.length - (end - start), offset);
  const model = lookup(root, 'model');
  const options = endpoint === 0 ? lookup(root, 'stream_options') : undefined;
  const asked = question(root, endpoint);
  const personal =
    asked !== undefined && edits.some(({ start, end }) => asked.start < start && end < asked.end);
  const described = ['tools', 'functions', 'response_format', 'output_format', 'output_config'];
  const prompt = ['messages', 'system', 'input', 'prompt', ...described];
  const texts = root.members
    .filter((member) => prompt.includes(member.key.text))
    .flatMap((member) => {
      const isOption = (node: Node): boolean =>
        endpoint >= 2 &&
        member.key.text === 'output_config' &&
        member.value.members.some(({ value }) => value === node);
      return strings(member.value, member.key.text).filter(({ node }) => !isOption(node));
    })
    .filter((string) => !labels.has(string.key));
  const bits = flags(root, endpoint);
  const kept = ['prompt', 'cachedContent', 'cached_content'].flatMap((name) => all(root, name)).some(given);
  const alone = asked !== undefined && texts.length === 1 && (bits & 16) === 0 && !kept;
  const head = [
    model ? moved(model.start + 1) : 0,
    model ? moved(model.end - 1) : 0,
    bits | (personal ? 1 << 18 : 0) | (alone ? 1 << 20 : 0),
    most(root, endpoint) ?? 0xffff_ffff,
    Math.max(1, limit(root, endpoint, 'n') ?? 1),
    texts.reduce((sum, { node }) => sum + Buffer.byteLength(node.text), 0),
    texts.reduce((sum, { node }) => sum + node.chars.length, 0),
    texts.length,
    options ? moved(options.start) : 0,
    options ? moved(options.end) : 0,
    moved(root.start + 1),
    root.members.length,
    asked ? asked.start + 1 : 0,
    asked ? asked.end - 1 : 0,
    imagesOf(root, endpoint),
    values.length,
    edits.length,
  ];
  return {
    distinct,
    status: 0,
    offset: 0,
    field: 0,
    head,
    values: values.map(({ placeholder, start, end }) => [
      moved(start),
      moved(start) + placeholder.length,
      start,
      end,
    ]),
    scrubbed: edits.length > 0 ? JSON.stringify(toValue(root, edits)) : undefined,
    plainDigest: createHash('sha256').update(body).digest('hex'),
  };
}

/** HMAC-SHA-256, in hex. */
export const keyed = (key: Buffer, body: Buffer): string =>
  createHmac('sha256', key).update(createHash('sha256').update(body).digest()).digest('hex');
