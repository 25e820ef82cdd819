/** Finds and calls every method of an SDK that asks its API for something, with made-up arguments. */

/** One method. */
export interface SdkMethod {
  /** Where it is found, as an app writes it: `chat.completions.create`. */
  readonly name: string;
  /** Its reply may be streamed. */
  readonly streams: boolean;
  /** Calls it on a client. @param more what its parameters have beside the usual */
  call(client: object, more?: object): unknown;
}

type Resource = Readonly<Record<string, unknown>>;
type Method = (...args: unknown[]) => unknown;

const isResource = (value: unknown): value is Resource =>
  typeof value === 'object' && value !== null && '_client' in value;

/** Every method of a client's resources whose source asks for something itself. */
export function methodsOf(client: object): readonly SdkMethod[] {
  const found: SdkMethod[] = [];
  const visit = (resource: Resource, path: readonly string[]): void => {
    for (const [name, child] of Object.entries(resource))
      if (name !== '_client' && isResource(child)) visit(child, [...path, name]);
    for (const name of Object.getOwnPropertyNames(Object.getPrototypeOf(resource))) {
      const method = resource[name];
      if (name === 'constructor' || typeof method !== 'function') continue;
      const source = Function.prototype.toString.call(method);
      if (!/this\._client\s*\.(?:get|post|put|patch|delete|getAPIList)\(/.test(source)) continue;
      found.push({
        name: [...path, name].join('.'),
        streams: /\.stream\b/.test(source) && /\bstream:/.test(source),
        call(of, more = {}) {
          const owner = path.reduce<unknown>((at, step) => (at as Resource)[step], of) as Resource;
          return (owner[name] as Method)(...argumentsOf(source, more));
        },
      });
    }
  };
  for (const [name, child] of Object.entries(client)) if (isResource(child)) visit(child, [name]);
  return found;
}

/** What mock servers are asked by the makers' own tests: anything, with odd values among it. */
const usual = {
  model: 'string',
  messages: [{ role: 'user', content: 'string' }],
  max_tokens: 1024,
  max_tokens_to_sample: 256,
  input: 'string',
  prompt: 'string',
  name: 'string',
  metadata: { foo: 'string' },
  purpose: 'assistants',
  limit: 0,
  after: 'after',
  order: 'asc',
  temperature: 0,
  stop: null,
  'x-unknown': [null, { 'ß"': '\\' }],
};
/** What only lists take: in a query, lists and objects have a form of their own. */
const listed = { limit: 0, after: 'a b&c', order: 'asc', include: ['x', 'y'], metadata: { foo: 'ß' } };

/** A form takes neither objects nor nothing. */
const formed = {
  model: 'string',
  prompt: 'string ß',
  purpose: 'assistants',
  name: 'string',
  n: 1,
  include: ['x', 'y'],
};

const file = (): File => new File([Buffer.from([0, 255, 13, 10, 45, 45, 13, 10])], 'a "b".bin');
const uploaded = ['file', 'image', 'data', 'sample', 'input_reference', 'recording', 'video', 'audio'];

function argumentsOf(source: string, more: object): unknown[] {
  const names = /\(([^)]*)\)/.exec(source)?.[1] ?? '';
  const taken = /const \{([^}]*)\} = (?:params|body|query)/.exec(source)?.[1] ?? '';
  const isForm = /multipartFormRequestOptions/i.test(source);
  const isList = /getAPIList|_client\s*\.(?:get|delete)\(/.test(source);
  const given: Record<string, unknown> = isForm
    ? { ...formed, ...more }
    : isList
      ? { ...listed }
      : { ...usual, ...more };
  if (isForm) for (const name of uploaded) given[name] = file();
  for (const part of taken.split(',').map((each) => each.trim().split(/[:=]/, 1)[0]?.trim() ?? ''))
    if (part !== '' && !part.startsWith('...')) given[part] = part === 'betas' ? ['b-1'] : `${part}_1`;
  return names
    .split(',')
    .map((each) => each.split('=', 1)[0]?.trim() ?? '')
    .filter((each) => each !== '')
    .map((each) =>
      /^(?:body|params|query|_params)$/.test(each) ? given : each === 'options' ? undefined : `${each}_1`,
    );
}
