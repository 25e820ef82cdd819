/** Configurations that load: defaults, variables, secrets, keys, warnings, the published schema. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { isStringOneByteRepresentation } from 'node:v8';
import { describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { z } from 'zod';
import { type ConfigResult, loadConfig, parseConfig } from '../../src/config/load.ts';
import { configSchema } from '../../src/config/schema.ts';
import { changed, digest, env, listed, load, secretText, valid, warned } from '../support/config-samples.ts';

describe('a valid configuration', () => {
  it('is loaded with defaults, variables and secrets', () => {
    const result = load(stringify(valid));
    expect(listed(result)).toEqual([]);
    if (!result.ok) return;
    expect(result.warnings).toEqual([]);
    expect(result.config.providers.openai?.apiKey).toBe(secretText);
    expect(result.config.providers.anthropic?.apiKey).toBe(secretText);
    expect(result.config.listen.port).toBe(4100);
    expect(result.config.attempt.breaker.failures).toBe(5);
  });

  it.each([
    ['listen.port', '${PORT}', 4321],
    ['listen.port', '${NONE:-7}', 7],
    ['listen.port', '${EMPTY:-8}', 8],
    ['cache.enabled', '${FLAG}', false],
    ['attempt.retriesMax', '${NONE:-2}', 2],
    ['providers.own.baseUrl', 'https://x.example/v1//', 'https://x.example/v1'],
    ['providers.own.baseUrl', 'http://127.0.0.1:${PORT}/v1', 'http://127.0.0.1:4321/v1'],
    ['providers.own.headers', { 'x-a': '$${KEY} $KEY' }, { 'x-a': '${KEY} $KEY' }],
    ['providers.own.apiKey', 'file:/run/key', secretText],
    ['observe.digestKey', 'file:/run/key', secretText],
    ['observe.digestKey', 'a ${TENANT} b', 'a acme b'],
    ['authenticate.anonymousTenant', '${TENANT}', 'acme'],
    [
      'listen.allowedHosts',
      ['App.Example', '[fe80::1]', '10.0.0.1'],
      ['app.example', '[fe80::1]', '10.0.0.1'],
    ],
    ['listen.allowedOrigins', ['https://App.Example:8443'], ['https://app.example:8443']],
    ['listen.socket', '/run/sidegate.sock', '/run/sidegate.sock'],
    [
      'providers.constructor',
      { preset: 'simulator' },
      { preset: 'simulator', credential: 'gateway', headers: {} },
    ],
    ['providers.own.simulate', undefined, undefined],
    ['providers.sim.simulate.replyTokens', '${PORT}', 4321],
  ])('takes %s: %j', (path, value, expected) => {
    const result = load(changed(path, value));
    expect(listed(result)).toEqual([]);
    const config = result.ok ? (result.config as unknown) : null;
    expect(path.split('.').reduce((at, step) => (at as Record<string, unknown>)[step], config)).toEqual(
      expected,
    );
  });

  it('keeps a secret from adding YAML', () => {
    const result = load(changed('observe.digestKey', '${ODD}'));
    expect(result.ok && result.config.observe.digestKey).toBe(env.ODD);
  });

  it('lets aliases repeat a whole value', () => {
    const text = `${stringify(valid)}observe: { log: info }\ncache: &c { enabled: false }\n`;
    expect(load(text).ok).toBe(true);
    const shared = stringify(valid).replace('openai:\n    preset: openai', 'openai: &o\n    preset: openai');
    const result = load(shared.replace('  own:\n', '  other: *o\n  own:\n'));
    expect(listed(result)).toEqual([]);
    expect(result.ok && result.config.providers.other?.apiKey).toBe(secretText);
  });

  it('reads a secret once, even if it looks like the name of a file', () => {
    const text = changed('providers.own.apiKey', 'file:/run/odd');
    const shared = text.replace('own:\n', 'own: &o\n').replace('  sim:\n', '  other: *o\n  sim:\n');
    const result = load(shared);
    expect(listed(result)).toEqual([]);
    expect(result.ok && result.config.providers.other?.apiKey).toBe('file:/run/key');
  });

  it('may begin with a byte order mark and end its lines in CRLF', () => {
    const result = load(`\ufeff${stringify(valid).replaceAll('\n', '\r\n')}`);
    expect(listed(result)).toEqual([]);
  });

  it('accepts the example and the Kubernetes config map', () => {
    const keys = { OPENAI_API_KEY: 'a', ANTHROPIC_API_KEY: 'b' };
    const example = loadConfig(
      fileURLToPath(new URL('../../deploy/sidegate.example.yaml', import.meta.url)),
      keys,
    );
    expect(listed(example)).toEqual([]);
    expect(example.warnings).toEqual([]);
    const manifest = readFileSync(new URL('../../deploy/kubernetes.yaml', import.meta.url), 'utf8').split(
      /^---$/m,
    );
    const map = parse(manifest[1] ?? '') as { data: Record<string, string> };
    const inner = parseConfig(map.data['sidegate.yaml'] ?? '', {}, () => 'sk');
    expect(listed(inner)).toEqual([]);
    expect(warned(inner)).toEqual([expect.stringMatching(/^admin\.host: "0\.0\.0\.0" is not loopback/)]);
  });
});

/** Place changed, value put there, path of the one fault, words of its message. */
const faultTable: [string, unknown, string, RegExp][] = [
  // What the schema says.
  ['listen.prt', 1, 'listen.prt', /no such setting; did you mean "port"/],
  ['listen.quux', 1, 'listen.quux', /no such setting; the settings here are host, port/],
  ['routs', [], 'routs', /did you mean "routes"/],
  ['providers.own.modle', 'x', 'providers.own.modle', /no such setting/],
  ['providers.anthropic.files', ['a'], 'providers.anthropic.files', /have no files: remove it/],
  ['routes.0.targets.1.providr', 'x', 'routes[0].targets[1].providr', /did you mean "provider"/],
  ['listen.port', 70000, 'listen.port', /at most 65535/],
  ['listen.port', -1, 'listen.port', /at least 0/],
  ['listen.port', 1.5, 'listen.port', /whole number/],
  ['listen.port', 'x', 'listen.port', /must be a number, not text/],
  ['listen.port', '${TENANT}', 'listen.port', /must be a number, not text/],
  ['listen.port', null, 'listen.port', /has no value/],
  ['limits', {}, 'limits', /must be a list, not a mapping/],
  ['scrub', [], 'scrub', /must be a mapping of keys to values, not a list/],
  ['limits.0.capacity', 0, 'limits[0].capacity', /more than 0/],
  ['limits.0.capacity', Number.POSITIVE_INFINITY, 'limits[0].capacity', /infinite/],
  ['limits.0.name', 7, 'limits[0].name', /must be text, not a number: put it in quotes/],
  ['limits.0.name', undefined, 'limits[0].name', /is missing/],
  ['limits.0.match', { tenant: '' }, 'limits[0].match.tenant', /must not be empty/],
  ['scrub.email', 'maks', 'scrub.email', /"maks" is not one of mask, block, off; did you mean "mask"/],
  ['authenticate.keys.0.sha256', 'ABC', 'authenticate.keys[0].sha256', /64 lowercase hex digits/],
  ['authenticate.keys.0.models', ['a*b'], 'authenticate.keys[0].models[0]', /only at its end/],
  ['providers.a b', { preset: 'simulator' }, 'providers["a b"]', /the name must be 1–128 letters/],
  ['providers.own.headers', { a: 1 }, 'providers.own.headers.a', /must be text/],
  ['routes.0.model', 'a*b', 'routes[0].model', /only at its end/],
  ['routes.0.targets', [], 'routes[0].targets', /at least 1 entry/],
  ['routes.0', 'gpt', 'routes[0]', /must be a mapping of keys to values, not text/],
  ['providers.sim.simulate', { ttftM: 1 }, 'providers.sim.simulate.ttftM', /did you mean "ttftMs"/],
  ['providers.sim.simulate', { ttftMs: -1 }, 'providers.sim.simulate.ttftMs', /at least 0/],
  [
    'providers.sim.simulate',
    { replyTokens: 'x' },
    'providers.sim.simulate.replyTokens',
    /whole number or a mapping|number or a mapping/,
  ],
  [
    'providers.sim.simulate',
    { replyTokens: { min: 1 } },
    'providers.sim.simulate.replyTokens.max',
    /is missing/,
  ],
  ['providers.sim.simulate', { replyTokens: 0 }, 'providers.sim.simulate.replyTokens', /at least 1/],
  [
    'providers.sim.simulate',
    { replyTokens: { min: 1, max: 2, x: 1 } },
    'providers.sim.simulate.replyTokens.x',
    /the settings here are min, max/,
  ],
  // Variables and secrets.
  ['providers.own.apiKey', '${UNSET_KEY}', 'providers.own.apiKey', /variable UNSET_KEY is not set/],
  ['providers.own.apiKey', '${__proto__}', 'providers.own.apiKey', /variable __proto__ is not set/],
  ['providers.own.baseUrl', 'http://${UNSET}/${KEY}', 'providers.own.baseUrl', /variable UNSET is not set/],
  ['listen.port', '${UNSET}', 'listen.port', /variable UNSET is not set/],
  ['providers.own.apiKey', '${BAD', 'providers.own.apiKey', /"\$\{" must be followed by NAME/],
  ['providers.own.apiKey', '${EMPTY}', 'providers.own.apiKey', /must not be empty/],
  ['providers.own.apiKey', '${ODD}', 'providers.own.apiKey', /a header cannot carry/],
  ['providers.own.apiKey', 'file:/run/none', 'providers.own.apiKey', /the file it names cannot be used/],
  ['providers.own.apiKey', 'file:/run/empty', 'providers.own.apiKey', /the file it names is empty/],
  ['observe.digestKey', 'file:/run/empty', 'observe.digestKey', /the file it names is empty/],
  // How the parts fit.
  ['providers', {}, 'providers', /there is no provider/],
  ['providers', undefined, 'providers', /there is no provider/],
  ['routes', [], 'routes', /no model is served/],
  ['routes', undefined, 'routes', /no model is served/],
  ['providers.own', { preset: 'opnai' }, 'providers.own.preset', /no preset "opnai"; did you mean "openai"/],
  [
    'providers.own',
    { preset: 'constructor' },
    'providers.own.preset',
    /no preset "constructor"; `sidegate presets` lists/,
  ],
  ['providers.own', {}, 'providers.own', /needs `dialect` and `baseUrl`, or a `preset`/],
  ['providers.own.baseUrl', undefined, 'providers.own', /needs `baseUrl`, or a `preset`/],
  ['providers.own.baseUrl', 'ftp://x', 'providers.own.baseUrl', /https:\/\/ or http:\/\//],
  ['providers.own.baseUrl', 'x.example/v1', 'providers.own.baseUrl', /https:\/\/ or http:\/\//],
  ['providers.own.baseUrl', 'http://u:p@x.example', 'providers.own.baseUrl', /no credentials/],
  ['providers.own.baseUrl', 'http://x.example/v1?api-key=1', 'providers.own.baseUrl', /no credentials/],
  ['providers.own.baseUrl', 'http://x.example/v1#', 'providers.own.baseUrl', /no fragment/],
  ['providers.own.simulate', {}, 'providers.own.simulate', /applies to `preset: simulator` only/],
  ['providers.sim.baseUrl', 'http://x.example', 'providers.sim.baseUrl', /inside this process/],
  [
    'providers.openai.dialect',
    'anthropic',
    'providers.openai.dialect',
    /does not match the preset "openai", whose dialect is openai/,
  ],
  ['providers.openai.apiKey', undefined, 'providers.openai', /set `apiKey: \$\{OPENAI_API_KEY\}`/],
  ['providers.own.credential', 'client', 'providers.own.credential', /together with `authenticate.keys`/],
  ['providers.own.headers', { Authorization: 'x' }, 'providers.own.headers.Authorization', /use `apiKey`/],
  ['providers.own.headers', { Host: 'x' }, 'providers.own.headers.Host', /belongs to the connection/],
  ['providers.own.headers', { 'content-length': '1' }, 'providers.own.headers.content-length', /connection/],
  [
    'providers.own.headers',
    { 'Transfer-Encoding': 'x' },
    'providers.own.headers.Transfer-Encoding',
    /connection/,
  ],
  [
    'providers.own.headers',
    { 'content-type': 'x' },
    'providers.own.headers.content-type',
    /set by the gateway/,
  ],
  ['providers.own.headers', { 'a b': 'x' }, 'providers.own.headers["a b"]', /not a header name/],
  ['providers.own.headers', { a: 'x\ny: z' }, 'providers.own.headers.a', /a header cannot carry/],
  ['providers.own.headers', { a: '${ODD}' }, 'providers.own.headers.a', /a header cannot carry/],
  [
    'providers.own.headers',
    { A: 'x', a: 'y' },
    'providers.own.headers.a',
    /duplicate of the header at providers\.own\.headers\.A/,
  ],
  ['providers.anthropic.headers', { 'x-api-key': 'x' }, 'providers.anthropic.headers.x-api-key', /`apiKey`/],
  [
    'routes.0.targets.1.provider',
    'opnai',
    'routes[0].targets[1].provider',
    /no provider "opnai"; did you mean "openai"/,
  ],
  ['routes.0.targets.1.provider', 'toString', 'routes[0].targets[1].provider', /no provider "toString"/],
  [
    'routes.1.model',
    'gpt-*',
    'routes[1].model',
    /duplicate of the route for this model at routes\[0\]\.model/,
  ],
  [
    'routes.0.targets.1',
    { provider: 'openai' },
    'routes[0].targets[1]',
    /duplicate of the target at routes\[0\]\.targets\[0\]/,
  ],
  [
    'authenticate.keys.1.id',
    'a',
    'authenticate.keys[1].id',
    /duplicate of the id at authenticate\.keys\[0\]\.id/,
  ],
  ['authenticate.keys.1.sha256', digest('a'), 'authenticate.keys[1].sha256', /duplicate of the key at/],
  ['authenticate.keys.1.sha256', digest(''), 'authenticate.keys[1].sha256', /digest of an empty key/],
  [
    'authenticate',
    undefined,
    'authenticate',
    /list `authenticate.keys`, or allow calls without a key by `authenticate.anonymousTenant`/,
  ],
  ['authenticate.keys', [], 'authenticate', /nobody may call/],
  ['limits.1', valid.limits[0], 'limits[1].name', /duplicate of the name at limits\[0\]\.name/],
  ['attempt.backoffBaseMs', 6000, 'attempt.backoffBaseMs', /6000 is more than backoffMaxMs, 5000/],
  ['attempt.backoffMaxMs', 50, 'attempt.backoffMaxMs', /100 is more than backoffMaxMs, 50/],
  ['attempt.breaker', { cooldownMs: 70_000 }, 'attempt.breaker.cooldownMs', /more than cooldownMaxMs, 60000/],
  ['attempt.breaker', { cooldownMaxMs: 4_000 }, 'attempt.breaker.cooldownMaxMs', /5000 is more than/],
  ['sync.redis', 'http://redis:6379', 'sync.redis', /redis:\/\/redis\.internal:6379/],
  ['sync.redis', 'redis:', 'sync.redis', /must be a URL/],
  [
    'providers.openai.apiKeys',
    ['${KEY}'],
    'providers.openai.apiKeys[0]',
    /duplicate of an earlier credential/,
  ],
  ['providers.own.apiKeys', ['a', '${ODD}'], 'providers.own.apiKeys[1]', /a header cannot carry/],
  ['providers.own.apiKeys', ['file:/run/empty'], 'providers.own.apiKeys[0]', /is empty/],
  [
    'routes',
    [1, 2].map((requestsPerMinute) => ({
      model: `m${requestsPerMinute}`,
      targets: [{ provider: 'own', model: 'm', limits: { requestsPerMinute } }],
    })),
    'routes[1].targets[0].limits',
    /"own\/m" has different limits in an earlier route/,
  ],
  ['admin.port', 4100, 'admin.port', /cannot share port 4100/],
  ['listen.port', 4101, 'listen.port', /cannot share port 4101/],
  ['listen.host', 'http://x', 'listen.host', /IP address or a host name/],
  ['listen.host', '', 'listen.host', /IP address or a host name/],
  ['listen.socket', `/${'s'.repeat(107)}`, 'listen.socket', /at most 107 bytes/],
  ['listen.allowedHosts', ['ok', 'x:80'], 'listen.allowedHosts[1]', /without scheme, port/],
  ['listen.allowedHosts', ['*'], 'listen.allowedHosts[0]', /without scheme, port/],
  ['listen.allowedOrigins', ['app.example'], 'listen.allowedOrigins[0]', /https:\/\/app\.example/],
  ['listen.allowedOrigins', ['https://app.example/'], 'listen.allowedOrigins[0]', /no path/],
  ['listen.allowedOrigins', ['*'], 'listen.allowedOrigins[0]', /web origin/],
  ['listen.allowedOrigins', ['null'], 'listen.allowedOrigins[0]', /web origin/],
];

describe('a fault', () => {
  it.each(faultTable)('%s = %j', (place, value, path, words) => {
    const result = load(changed(place, value));
    const faults = result.ok ? [] : result.faults;
    // Exactly one: a fault must not drag others behind it, as routes that name a faulty provider.
    const own = place === 'providers' ? faults.filter((fault) => fault.path === 'providers') : faults;
    expect(own.map((fault) => fault.path)).toEqual([path]);
    expect(own[0]?.message).toMatch(words);
    expect(own[0]?.line).toBeGreaterThan(0);
    expect(formatFaults('f', faults)).not.toContain(secretText);
  });

  it.each<[string, string, number, number, RegExp]>([
    ['a key given twice', 'listen: { port: 1 }\nlisten: { port: 2 }\n', 2, 1, /^listen: is given twice/],
    ['a key given twice in braces', 'listen: { port: 1, port: 2 }\n', 1, 20, /^listen\.port: is given twice/],
    ['a tab', 'listen:\n\tport: 1\n', 2, 1, /tabs cannot be used for indentation/],
    ['an open quote', 'listen:\n  host: "x\n', 3, 1, /quote/],
    ['an open brace', 'listen: { port: 1\n', 2, 1, /bracket/],
    ['an unmatched bracket', `listen:\n  host: ${secretText}]\n  port: ]\n`, 3, 9, /not expected here/],
    ['two colons', `listen:\n  host: ${secretText}: x\n`, 2, 9, /second "key:"/],
    ['no space after the colon', 'port:1\nlisten: {}\n', 1, 1, /colon must be followed by a space/],
    ['two documents', 'listen: {}\n---\nlisten: {}\n', 2, 1, /more than one document/],
    ['YAML 1.1', '%YAML 1.1\n---\nlisten: {}\n', 1, 1, /only YAML 1\.2/],
    ['a tag', 'observe:\n  log: !env INFO\n', 2, 8, /tags such as/],
    ['a merge key', 'listen: &a { port: 1 }\nadmin:\n  <<: *a\n', 3, 3, /^admin\["<<"\]: merge keys/],
    ['an unknown alias', 'listen: *none\n', 1, 9, /^listen: this alias refers to no earlier anchor/],
    ['an alias of itself', 'listen: &a [*a]\n', 1, 13, /no earlier anchor/],
    ['a list as a key', '? [a]\n: 1\n', 1, 3, /a key must be plain text/],
    [
      '__proto__',
      'listen:\n  __proto__: { port: 1 }\n',
      2,
      3,
      /^listen\.__proto__: this name cannot be used/,
    ],
    [
      'constructor',
      'constructor: { prototype: { port: 1 } }\n',
      1,
      1,
      /^constructor: there is no such setting/,
    ],
    ['a NUL', 'listen:\n  host: "a\0"\n', 2, 11, /control character/],
    ['a lone carriage return', 'a: 1\rb: 2\n', 1, 5, /control character/],
    ['depth', `listen: ${'['.repeat(200)}${']'.repeat(200)}\n`, 1, 73, /nested too deeply/],
    ['more depth', `listen: ${'['.repeat(50_000)}`, 1, 0, /nested too deeply|bracket/],
    ['a list', '- listen\n', 1, 1, /^: must be a mapping of keys to values, not a list/],
    ['a word', 'listen\n', 1, 1, /must be a mapping/],
    ['nothing', '', 1, 1, /the file is empty/],
    ['a comment only', '# here\n', 1, 1, /the file is empty/],
  ])('of YAML: %s', (_, text, line, column, words) => {
    const result = load(text);
    const faults = result.ok ? [] : result.faults;
    const fault = faults.find(({ path, message }) => words.test(`${path}: ${message}`));
    expect(fault, formatFaults('f', faults)).toBeDefined();
    expect(fault?.line).toBe(line);
    if (column > 0) expect(fault?.column).toBe(column);
    expect(formatFaults('f', faults)).not.toContain(secretText);
    expect(({} as Record<string, unknown>).port).toBeUndefined();
  });

  it('bounds what aliases expand to', () => {
    const levels = Array.from(
      { length: 12 },
      (_, i) => `l${i}: &l${i} [${Array(9).fill(i ? `*l${i - 1}` : 'x')}]`,
    );
    const startMs = performance.now();
    expect(listed(load(levels.join('\n')))).toContainEqual(
      expect.stringContaining('aliases of this file expand'),
    );
    expect(performance.now() - startMs).toBeLessThan(10_000);
  });

  it('stands beside all others, in the order of the file, each with its place', () => {
    const text = [
      'listen: { port: x, prt: 1 }',
      'limits:',
      '  - name: a',
      '    capacity: 1',
      '    refillPerSecond: 1',
      '  - { name: a, capacity: -1, refillPerSecond: 1 }',
      'providers:',
      '  openai: { preset: opnai, apiKey: "${NONE}" }',
      '  x: { preset: simulator }',
      'routes:',
      '  - model: gpt-*',
      '    targets:',
      '      - provider: openai',
      '      - model: y',
      '        provider: xx',
    ].join('\n');
    const result = load(text);
    expect(formatFaults('sidegate.yaml', result.ok ? [] : result.faults).split('\n')).toEqual([
      'sidegate.yaml:1:1 authenticate: nobody may call: list `authenticate.keys`, or allow calls without a key by `authenticate.anonymousTenant`',
      'sidegate.yaml:1:17 listen.port: must be a number, not text',
      'sidegate.yaml:1:20 listen.prt: there is no such setting; did you mean "port"?',
      'sidegate.yaml:6:13 limits[1].name: duplicate of the name at limits[0].name',
      'sidegate.yaml:6:26 limits[1].capacity: must be more than 0',
      'sidegate.yaml:8:21 providers.openai.preset: there is no preset "opnai"; did you mean "openai"?',
      'sidegate.yaml:8:36 providers.openai.apiKey: the environment variable NONE is not set',
      'sidegate.yaml:15:19 routes[0].targets[1].provider: there is no provider "xx"; did you mean "x"?',
    ]);
  });

  it('is a credential of both the gateway and the client', () => {
    const anonymous = (credential: string) =>
      load(
        stringify({
          ...valid,
          authenticate: { anonymousTenant: 'acme' },
          providers: { ...valid.providers, openai: { preset: 'openai', apiKey: '${KEY}', credential } },
        }),
      );
    expect(listed(anonymous('gateway'))).toEqual([]);
    expect(listed(anonymous('client'))).toEqual([
      'providers.openai.apiKey: has no effect together with `credential: client`: remove one of them',
    ]);
  });

  it('shows a value that came from a variable as the file has it', () => {
    const faults = listed(load(changed('routes.0.targets.1.provider', '${KEY}')));
    expect(faults).toEqual(['routes[0].targets[1].provider: there is no provider "${KEY}"']);
    expect(listed(load(changed('scrub.email', '${KEY}')))[0]).toContain('"${KEY}" is not one of');
  });

  it('is listed up to a bound, then counted', () => {
    const result = load(`x: 1\n${Array.from({ length: 1500 }, (_, i) => `unknown${i}: 1`).join('\n')}`);
    const faults = result.ok ? [] : result.faults;
    expect(faults).toHaveLength(1001);
    expect(faults.at(-1)?.message).toBe('and 504 more faults');
  });

  it('never becomes an exception, whatever is done to the text', () => {
    const text = stringify(valid);
    const junk = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 6 }),
      fc.constantFrom(
        '\t',
        '&a ',
        '*a',
        '${',
        '[',
        '{',
        '- ',
        ': ',
        '"',
        '<<: ',
        '!!x ',
        '---\n',
        '%YAML',
        '\0',
        '|\n',
        '~',
      ),
    );
    const edit = fc.tuple(fc.nat(text.length), fc.nat(40), junk);
    fc.assert(
      fc.property(fc.array(edit, { minLength: 1, maxLength: 4 }), (edits) => {
        let mutated = text;
        for (const [at, cut, put] of edits) mutated = mutated.slice(0, at) + put + mutated.slice(at + cut);
        const result = load(mutated);
        if (result.ok) return configSchema.safeParse(result.config).success;
        return result.faults.length > 0 && !formatFaults('f', result.faults).includes(secretText);
      }),
      { numRuns: 600 },
    );
  });
});

describe('several keys', () => {
  it('stand beside the one, and each may be in a file or the environment', () => {
    const result = load(changed('providers.openai.apiKeys', ['other', 'file:/run/odd']));
    expect(listed(result)).toEqual([]);
    if (result.ok) expect(result.config.providers.openai?.apiKeys).toEqual(['other', 'file:/run/key']);
    const alone = load(
      changed('providers.anthropic', { preset: 'anthropic', apiKeys: ['file:/run/key', '${TENANT}'] }),
    );
    if (alone.ok) expect(alone.config.providers.anthropic?.apiKeys).toEqual([secretText, 'acme']);
    expect(listed(alone)).toEqual([]);
  });

  it('are refused beside the client’s own', () => {
    const text = stringify({
      authenticate: { anonymousTenant: 't' },
      providers: { own: { preset: 'openai', credential: 'client', apiKeys: ['k'] } },
      routes: [{ model: '*', targets: [{ provider: 'own' }] }],
    });
    expect(listed(load(text))).toEqual([
      'providers.own.apiKeys: has no effect together with `credential: client`: remove one of them',
    ]);
  });
});

describe('a warning', () => {
  it.each<[string, unknown, string, RegExp]>([
    ['listen.host', '0.0.0.0', 'listen.host', /not loopback/],
    ['admin.host', '::', 'admin.host', /not loopback/],
    [
      'limits.0.match',
      { tenant: 'acne' },
      'limits[0].match.tenant',
      /no key belongs to the tenant "acne"; did you mean "acme"/,
    ],
    [
      'providers.own',
      { dialect: 'openai', baseUrl: 'http://x.example/v1', apiKey: 'k' },
      'providers.own.baseUrl',
      /unencrypted/,
    ],
    [
      'providers.own',
      { dialect: 'openai', baseUrl: 'http://x.example/v1', apiKeys: ['k'] },
      'providers.own.baseUrl',
      /unencrypted/,
    ],
    [
      'routes.0.targets',
      [{ provider: 'own' }, { provider: 'own', model: 'small' }],
      'routes[0].targets',
      /all targets are at the provider "own": if it is down/,
    ],
  ])('%s = %j', (place, value, path, words) => {
    const result = load(changed(place, value));
    expect(listed(result)).toEqual([]);
    expect(result.warnings.map((warning) => warning.path)).toEqual([path]);
    expect(result.warnings[0]?.message).toMatch(words);
    expect(result.warnings[0]?.line).toBeGreaterThan(1);
  });

  it('is not given for what only this machine reaches', () => {
    expect(warned(load(changed('listen.host', '127.0.0.9')))).toEqual([]);
    expect(warned(load(changed('listen', { host: '0.0.0.0', socket: '/run/s' })))).toEqual([]);
  });
});

describe('many keys', () => {
  it('load in little more than the time YAML itself takes', () => {
    const keys = Array.from({ length: 10_000 }, (_, i) => [
      `    - id: key-${i}`,
      `      sha256: ${digest(`key ${i}`)}`,
      `      tenant: tenant-${i % 50}`,
    ]);
    const base = stringify({ ...valid, authenticate: undefined });
    const text = `${base}authenticate:\n  keys:\n${keys.flat().join('\n')}\n`;
    const timed = (run: () => unknown): number => {
      const startMs = performance.now();
      run();
      return performance.now() - startMs;
    };
    let result: ConfigResult | null = null;
    const [loads, parses] = [[], []] as [number[], number[]];
    for (let round = 0; round < 2; round++) {
      loads.push(timed(() => (result = load(text))));
      parses.push(timed(() => parse(text)));
    }
    const [loadMs, parseMs] = [Math.min(...loads), Math.min(...parses)];
    console.log(`10,000 keys: loaded in ${loadMs.toFixed(0)} ms, YAML alone ${parseMs.toFixed(0)} ms`);
    expect(result).toMatchObject({ ok: true });
    expect(loadMs).toBeLessThan(parseMs * 3);
    // A fault at the far end is found without a second, slower reading.
    const faultyMs = timed(() => (result = load(`${text}x: 1\n`)));
    expect(listed(result as unknown as ConfigResult)).toHaveLength(1);
    expect(faultyMs).toBeLessThan(parseMs * 4);
  });
});

describe('the published schema', () => {
  it('is the generated one, and knows the keys of the example', () => {
    const text = readFileSync(new URL('../../deploy/sidegate.schema.json', import.meta.url), 'utf8');
    const published = JSON.parse(text) as { properties: Record<string, { anyOf?: unknown }> };
    const made = z.toJSONSchema(configSchema, { io: 'input' });
    expect(Object.keys(published.properties)).toEqual(Object.keys(made.properties ?? {}));
    const example = parse(
      readFileSync(new URL('../../deploy/sidegate.example.yaml', import.meta.url), 'utf8'),
    ) as object;
    for (const key of Object.keys(example)) expect(published.properties).toHaveProperty(key);
    expect(published).toHaveProperty('properties.listen.properties.port.anyOf.1.type', 'string');
  });
});

it.each([
  ['the plain reader', 'model: bench-model-of-some-length # 一'],
  ['the full parser', 'model: !!str bench-model-of-some-length'],
  ['quotes and the environment', 'model: "bench-${ONE}"'],
])('a character beyond Latin-1 widens none of the others: %s', (_, model) => {
  const text = `# …
authenticate: { anonymousTenant: acme }
providers:
  sim: { preset: simulator }
routes:
  - ${model}
    targets: [{ provider: sim, model: 模型 }]
`;
  const result = parseConfig(text, { ONE: '一model-of-some-length'.slice(1) }, () => {
    throw new Error('no file');
  });
  if (!result.ok) throw new Error(JSON.stringify(result.faults));
  const [route] = result.config.routes;
  expect(route?.model).toBe('bench-model-of-some-length');
  expect(isStringOneByteRepresentation(route?.model ?? '…')).toBe(true);
  expect(JSON.stringify(route)).toContain('模型');
});
