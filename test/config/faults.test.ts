import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { formatFaults } from '../../src/config/faults.ts';
import { parseConfig } from '../../src/config/load.ts';
import { configSchema } from '../../src/config/schema.ts';
import { changed, digest, listed, load, secretText, valid } from '../support/config-samples.ts';
import { cpuMs } from '../support/time.ts';

/** Place changed, value put there, path of the one fault, words of its message. */
const faultTable: [string, unknown, string, RegExp][] = [
  // What the schema says.
  ['listen.prt', 1, 'listen.prt', /no such setting; did you mean "port"/],
  ['listen.quux', 1, 'listen.quux', /no such setting; the settings here are host, port/],
  ['routs', [], 'routs', /did you mean "routes"/],
  ['providers.own.modle', 'x', 'providers.own.modle', /no such setting/],
  ['providers.anthropic.files', ['a'], 'providers.anthropic.files', /have no files: remove it/],
  ['providers.anthropic.passthrough', 'all', 'providers.anthropic.passthrough', /unscrubbed/],
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
  [
    'scrub.request.email',
    'maks',
    'scrub.request.email',
    /"maks" is not one of tokenise, redact, mask.*; did you mean "mask"/,
  ],
  ['authenticate.keys.0.sha256', 'ABC', 'authenticate.keys[0].sha256', /64 lowercase hex digits/],
  ['authenticate.keys.0.models', ['a*b'], 'authenticate.keys[0].models[0]', /only at its end/],
  ['providers.a b', { preset: 'simulator' }, 'providers["a b"]', /the name must be 1–128 letters/],
  ['providers.eu/azure', { preset: 'simulator' }, 'providers["eu/azure"]', /the name must have no \//],
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
  ['mode', null, 'mode', /has no value: set one of enforce, observe, or remove the line/],
  ['observe.log', ['info'], 'observe.log', /must be one of silent, .*, not a list/],
  ['mode', { toString: 1 }, 'mode', /must be one of enforce, observe, not a mapping/],
  // Variables and secrets.
  ['providers.own.apiKey', '${UNSET_KEY}', 'providers.own.apiKey', /variable UNSET_KEY is not set/],
  ['providers.own.apiKey', '${__proto__}', 'providers.own.apiKey', /variable __proto__ is not set/],
  ['providers.own.baseUrl', 'http://${UNSET}/${KEY}', 'providers.own.baseUrl', /variable UNSET is not set/],
  ['listen.port', '${UNSET}', 'listen.port', /variable UNSET is not set/],
  ['providers.own.apiKey', '${BAD', 'providers.own.apiKey', /"\$\{" must be followed by NAME/],
  ['providers.own.apiKey', '${EMPTY}', 'providers.own.apiKey', /must not be empty/],
  ['admin.token', '${ODD} of the admin port', 'admin.token', /a header cannot carry/],
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
  ['sync.redis', 'redis://:50%off@r', 'sync.redis', /write %25 for %/],
  ['sync.redis', 'redis://us%ffer@r', 'sync.redis', /write %25 for %/],
  ['sync.redis', 'redis://r/first', 'sync.redis', /database by a number/],
  ['sync.nodes', ['redis://a', 'b:26379'], 'sync.nodes[1]', /must be a URL/],
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
  ['listen.allowedOrigins', ['*'], 'listen.allowedOrigins[0]', /origin such as/],
  ['listen.allowedOrigins', ['null'], 'listen.allowedOrigins[0]', /origin such as/],
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
    let faults: string[] = [];
    const tookMs = cpuMs(() => {
      faults = listed(load(levels.join('\n')));
    });
    expect(faults).toContainEqual(expect.stringContaining('aliases of this file expand'));
    expect(tookMs).toBeLessThan(3000);
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
    expect(listed(load(changed('scrub.request.email', '${KEY}')))[0]).toContain('"${KEY}" is not one of');
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

it.each([
  ['listen: { port: ${NOPE} }', 17],
  ['listen: { host: a, port: ${NOPE:-1} }', 26],
  ['tags: [${NOPE}]', 8],
])('a variable without quotes between brackets is one fault, which says so: %s', (line, column) => {
  const result = parseConfig(`${line}\nadmin: { port: 1 }\nmode: observe\n`, {}, () => {
    throw new Error('no file');
  });
  if (result.ok) throw new Error('it was read');
  const message = 'between { } or [ ], a value with ${…} must be in quotes';
  expect(result.faults).toEqual([{ path: '', line: 1, column, message }]);
});
