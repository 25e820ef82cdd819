/** Checks that the parts of a configuration fit together, which the schema can't express. */

import { didYouMean } from '../base/did-you-mean.ts';
import { isLoopback } from '../base/node-http.ts';
import { isPattern, presets } from '../dialects/presets.ts';
import type { DialectName } from '../exchange/dialects.ts';
import { endpoints, isPassed } from '../exchange/endpoint.ts';
import { checkAws } from './check-aws.ts';
import { checkBatch } from './check-batch.ts';
import { checkCache } from './check-cache.ts';
import { checkGrant, checkIssuers } from './check-callers.ts';
import { checkCatalog } from './check-catalog.ts';
import { checkLimits } from './check-limits.ts';
import { checkReach } from './check-reach.ts';
import { checkKeysOf, checkResilience } from './check-resilience.ts';
import { checkRoutes } from './check-routes.ts';
import { checkScrub } from './check-scrub.ts';
import type { Finding, Path } from './faults.ts';
import type { Show } from './issues.ts';
import {
  absent,
  createReport,
  type Draft,
  type DraftProvider,
  faultyAt,
  once,
  type Report,
} from './report.ts';
import { configSchema } from './schema.ts';
import {
  allowedHostFault,
  baseUrlFault,
  headerFault,
  isPlainRemote,
  listenHostFault,
  originFault,
  sameHost,
  sentSecretFault,
  socketFault,
} from './syntax.ts';

/** Finds all faults and warnings across the parts of a draft. */
export function checkDraft(draft: Draft, show: Show): { faults: Finding[]; warnings: Finding[] } {
  const { report, faults, warnings } = createReport(show);
  checkListen(draft, report);
  checkWorkers(draft, report);
  checkKeys(draft, report);
  checkLimits(draft, report);
  checkProviders(draft, report);
  checkRoutes(draft, report);
  checkBatch(draft, report);
  checkCatalog(['catalog', 'models'], draft.catalog?.models ?? [], draft.providers, report);
  checkResilience(draft, report);
  checkObserve(draft, report);
  checkScrub(draft, report);
  checkCache(draft, report);
  return { faults, warnings };
}

/** What workers can't do. */
function checkWorkers({ workers = 1 }: Draft, report: Report): void {
  if (workers > 1 && process.platform === 'win32')
    report.fault(['workers'], 'must be 1 on Windows, where connections can not be handed to a thread');
}

/** Sinks send what the ledger holds. */
function checkObserve({ observe }: Draft, report: Report): void {
  const { instance: _, ...sinks } = observe?.sinks ?? {};
  const [first] = Object.keys(sinks);
  if (first === undefined || observe?.ledger?.path !== undefined) return;
  report.fault(
    ['observe', 'sinks', first],
    'needs observe.ledger.path: sinks send what the ledger holds, so that an outage loses nothing',
  );
}

function checkListen(draft: Draft, report: Report): void {
  const defaults = configSchema.parse({});
  const listen = { ...defaults.listen, ...draft.listen };
  const admin = { ...defaults.admin, ...draft.admin };
  const bySocket = listen.socket !== undefined;
  for (const [section, host] of [
    ['listen', listen.host],
    ['admin', admin.host],
  ] as const) {
    if (host === undefined) continue;
    const fault = listenHostFault(host);
    if (fault !== null) report.fault([section, 'host'], fault);
    else if (!isLoopback(host) && !(bySocket && section === 'listen')) {
      report.warn(
        [section, 'host'],
        `${report.show(host)} is not loopback: other machines may reach this port`,
      );
    }
  }
  if (listen.socket !== undefined) {
    const fault = socketFault(listen.socket);
    if (fault !== null) report.fault(['listen', 'socket'], fault);
  }
  const { port } = admin;
  if (!bySocket && port !== 0 && port !== undefined && port === listen.port) {
    if (sameHost(listen.host ?? '', admin.host ?? '')) {
      const place = absent(draft.admin, 'port') ? ['listen', 'port'] : ['admin', 'port'];
      report.fault(place, `listen and admin cannot share port ${port}`);
    }
  }
  // One with a line break at its end, as from a file, would be in force, but nobody could send it.
  const tokenFault = admin.token === undefined ? null : sentSecretFault(admin.token);
  if (tokenFault !== null) report.fault(['admin', 'token'], tokenFault);
  for (const [room, hosts] of [
    ['listen', listen.allowedHosts] as const,
    ['admin', admin.allowedHosts] as const,
  ]) {
    hosts?.forEach((host, index) => {
      const fault = host === undefined ? null : allowedHostFault(host);
      if (fault !== null) report.fault([room, 'allowedHosts', index], fault);
    });
  }
  listen.allowedOrigins?.forEach((origin, index) => {
    const fault = origin === undefined ? null : originFault(origin);
    if (fault !== null) report.fault(['listen', 'allowedOrigins', index], fault);
  });
}

/** The SHA-256 of empty input, as from a command that found no key. */
const emptyDigest = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

function checkKeys(draft: Draft, report: Report): void {
  const { authenticate } = draft;
  const none = (list: 'keys' | 'oidc') => absent(authenticate, list) || authenticate?.[list]?.length === 0;
  // Keys may also be created at run time, in the store.
  const keyless = none('keys') && none('oidc') && draft.store?.path === undefined;
  const sectionFaulty = !absent(draft, 'authenticate') && authenticate === undefined;
  const open = !absent(authenticate, 'anonymousTenant') || draft.mode === 'observe';
  if (keyless && !open && !sectionFaulty) {
    const message =
      'nobody may call: list `authenticate.keys`, or allow calls without a key by `authenticate.anonymousTenant`';
    report.fault(['authenticate'], message, 'key');
  }
  const id = once(report, 'id');
  const digest = once(report, 'key');
  authenticate?.keys?.forEach((key, index) => {
    const path = ['authenticate', 'keys', index];
    id(key?.id, [...path, 'id']);
    digest(key?.sha256, [...path, 'sha256']);
    if (key?.sha256 === emptyDigest) report.fault([...path, 'sha256'], 'is the digest of an empty key');
    checkGrant(key, path, report);
  });
  checkIssuers(draft, id, report);
}

function checkProviders(draft: Draft, report: Report): void {
  const providers = Object.entries(draft.providers ?? {});
  const sectionFaulty = !absent(draft, 'providers') && draft.providers === undefined;
  if (providers.length === 0 && !sectionFaulty) {
    const message = 'there is no provider: add at least one, such as `openai: { preset: openai, apiKey: … }`';
    report.fault(['providers'], message, 'key');
  }
  for (const [name, provider] of providers) {
    if (provider === undefined) continue;
    checkOrigin(['providers', name], provider, report);
    checkReach(['providers', name], provider, report);
    checkCredential(['providers', name], provider, draft, report);
    checkAws(['providers', name], provider, dialectOf(provider), presetOf(provider), report);
    checkHeaders(['providers', name, 'headers'], provider, report);
    checkObjects(['providers', name], provider, report);
  }
}

const presetOf = (provider: DraftProvider) => {
  const { preset } = provider;
  return preset !== undefined && Object.hasOwn(presets, preset) ? presets[preset] : undefined;
};

/** The dialect of a provider; undefined: invalid, which is reported elsewhere. */
const dialectOf = (provider: DraftProvider): DialectName | undefined =>
  provider.dialect ?? presetOf(provider)?.dialect;

/** Checks a provider's preset, address and dialect. */
function checkOrigin(path: Path, provider: DraftProvider, report: Report): void {
  const { preset: name, baseUrl, dialect } = provider;
  const preset = presetOf(provider);
  if (name !== undefined && preset === undefined) {
    const guess = didYouMean(name, Object.keys(presets));
    const known = guess === '' ? '; `sidegate presets` lists the known ones' : guess;
    report.fault([...path, 'preset'], `there is no preset ${report.show(name)}${known}`);
  }
  if (absent(provider, 'preset')) {
    const missing = ['dialect', 'baseUrl'].filter((key) => absent(provider, key));
    if (missing.length > 0) {
      report.fault(path, `needs ${missing.map((key) => `\`${key}\``).join(' and ')}, or a \`preset\``, 'key');
    }
  }
  if (preset !== undefined && dialect !== undefined && dialect !== preset.dialect) {
    report.fault(
      [...path, 'dialect'],
      `does not match the preset ${report.show(name)}, whose dialect is ${preset.dialect}`,
    );
  }
  const simulator = preset !== undefined && preset.baseUrl === null;
  if (baseUrl !== undefined) {
    const fault = simulator ? 'the simulator runs inside this process: remove it' : baseUrlFault(baseUrl);
    if (fault !== null) report.fault([...path, 'baseUrl'], fault);
    else if (isPlainRemote(baseUrl) && (hasKey(provider) || provider.credential === 'client')) {
      report.warn([...path, 'baseUrl'], 'the credential is sent unencrypted: use https');
    }
  }
  const version = provider.apiVersion !== undefined || /[?&]api-version=/.test(baseUrl ?? '');
  if (preset !== undefined && isPattern(preset) && absent(provider, 'baseUrl'))
    report.fault(path, `needs \`baseUrl\`: ${preset.baseUrl} with the name of your resource`, 'key');
  if (preset?.quirks.deployments === true && !version && !faultyAt(provider, 'apiVersion'))
    report.fault(path, 'needs `apiVersion`, such as "2024-10-21"', 'key');
  const presetFaulty = !absent(provider, 'preset') && preset === undefined;
  if (provider.simulate !== undefined && !simulator && !presetFaulty) {
    report.fault([...path, 'simulate'], 'applies to `preset: simulator` only', 'key');
  }
}

const hasKey = ({ apiKey, apiKeys }: DraftProvider): boolean =>
  apiKey !== undefined || (apiKeys?.length ?? 0) > 0;

/** Checks that the provider's API has what it is to keep for tenants, or to be passed. */
function checkObjects(
  path: Path,
  { files, passthrough = false, ...provider }: DraftProvider,
  report: Report,
): void {
  const dialect = dialectOf(provider);
  if (dialect === undefined) return;
  const passes = endpoints.some((each) => isPassed(each) && each.dialect === dialect);
  if (passthrough !== false && !passes)
    report.fault([...path, 'passthrough'], `has no effect: nothing of the ${dialect} dialect is passed on`);
  else if (files !== undefined && passthrough === false && dialect !== 'openai')
    report.fault(
      [...path, 'files'],
      `providers of the ${dialect} dialect have no files: remove it, or set \`passthrough\``,
    );
}

/** Checks that a provider has exactly one source of credentials. */
function checkCredential(path: Path, provider: DraftProvider, draft: Draft, report: Report): void {
  const preset = presetOf(provider);
  const given = (['apiKey', 'apiKeys'] as const).filter((key) => !absent(provider, key));
  const keyless = given.length === 0;
  checkKeysOf(path, provider, report);
  if (provider.credential === 'client') {
    for (const key of given)
      report.fault([...path, key], 'has no effect together with `credential: client`: remove one of them');
    if ((draft.authenticate?.keys?.length ?? 0) > 0) {
      const message =
        "cannot be `client` together with `authenticate.keys`: the app's one header cannot carry both credentials";
      report.fault([...path, 'credential'], message);
    }
  } else if (provider.credential === 'google' || provider.credential === 'azure') {
    for (const key of given)
      report.fault(
        [...path, key],
        `has no effect together with \`credential: ${provider.credential}\`: remove one of them`,
      );
  } else if (
    keyless &&
    typeof preset?.credentialEnv === 'string' &&
    provider.credential !== 'aws' &&
    absent(provider, 'accessKeys') &&
    !faultyAt(provider, 'credential')
  ) {
    const variable = `\${${preset.credentialEnv}}`;
    const others = preset.dialect === 'bedrock' ? '`credential: aws`' : '`credential: client`';
    report.fault(path, `needs a credential: set \`apiKey: ${variable}\`, or ${others}`, 'key');
  }
}

function checkHeaders(path: Path, provider: DraftProvider, report: Report): void {
  const name = once(report, 'header', ' (header names are case-insensitive)');
  for (const [header, value] of Object.entries(provider.headers ?? {})) {
    const fault = headerFault(header, value ?? 'unknown', dialectOf(provider));
    if (fault !== null) report.fault([...path, header], fault, 'key');
    name(header.toLowerCase(), [...path, header]);
  }
}
