/**
 * Routing of requests about objects that providers keep, such as files and batches, which name no model: which provider
 * to ask, which tenants may, and whether the object is theirs.
 */
import { Refusal } from '../base/errors.ts';
import type { Catalog } from '../catalog/catalog.ts';
import { freeFacts, unknownFacts } from '../catalog/facts.ts';
import { apiOf } from '../exchange/dialects.ts';
import { type Endpoint, isPassed } from '../exchange/endpoint.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { Identity } from '../exchange/identity.ts';
import type { ModelRequest } from '../exchange/request.ts';
import type { Owners } from '../store/owners.ts';
import type { Plan, Provider, TargetHealth } from '../upstream/target.ts';

/** The providers that keep objects. */
export interface ObjectTable {
  readonly providers: readonly Provider[];
  /** Some of them are passed what Sidegate has no model of. */
  readonly passes: boolean;
  /** The plan with only this provider. @param model that the request is for; empty: none */
  planOf(provider: Provider, endpoint: Endpoint, model: string): Plan;
  /** Whose objects are whose. */
  readonly owners: Owners;
  /** The only tenant that there is, to whom every object belongs; null: there may be several. */
  onlyTenant(): string | null;
}

/**
 * @param healthOf state of the target with a label
 * @param free names of the providers that cost nothing
 * @param catalog what is known of models that requests name
 */
export function createObjectTable(
  all: ReadonlyMap<string, Provider>,
  healthOf: (label: string) => TargetHealth,
  owners: Owners,
  onlyTenant: () => string | null,
  free: ReadonlySet<string> = new Set(),
  catalog: Pick<Catalog, 'facts'> = { facts: () => unknownFacts },
): ObjectTable {
  const plans = new Map<string, Plan>();
  return {
    providers: [...all.values()],
    passes: [...all.values()].some(({ passthrough }) => passthrough !== false),
    planOf(provider, { name, kind, method }, model) {
      const label = `${provider.name}/${name}`;
      // What is passed through may cost anything; reading and deleting is free.
      const reads = kind !== 'session' && (method === 'GET' || method === 'DELETE');
      const isFree = kind === 'files' || reads || free.has(provider.name);
      const key = `${label} ${isFree}`;
      const known = model === '' ? plans.get(key) : undefined;
      if (known !== undefined) return known;
      const facts = isFree ? freeFacts : model === '' ? unknownFacts : catalog.facts(provider.name, model);
      const target = { provider, model: null, label, health: healthOf(label), facts };
      const plan: Plan = {
        pattern: '',
        steps: [{ target, on: null, group: 0, depth: 1 }],
        fixed: true,
        version: `${label}@${provider.baseUrl}`,
        tier: null,
        priority: 'interactive',
        drops: false,
        defaultMaxTokens: null,
      };
      // Names of models are the callers', and without number.
      if (model === '') plans.set(key, plan);
      return plan;
    },
    owners,
    onlyTenant,
  };
}

/** Whether all objects of a provider belong to one tenant, whoever made them. */
export const keepsForOne = ({ files }: Provider, table: ObjectTable): boolean =>
  files?.length === 1 || table.onlyTenant() !== null;

/**
 * The plan for the provider that `x-sidegate-provider` names, that made the object, or that is the only one of the
 * dialect which keeps objects for the tenant.
 */
export function routeObject(
  { headers, endpoint, path }: Pick<Exchange, 'headers' | 'endpoint' | 'path'>,
  { model }: Pick<ModelRequest, 'model'>,
  { tenant }: Identity,
  table: ObjectTable,
): Plan | Refusal {
  const speaking = table.providers.filter(({ dialect }) => apiOf(dialect.name) === apiOf(endpoint.dialect));
  const serving =
    endpoint.kind === 'files' ? speaking : speaking.filter(({ passthrough }) => passthrough !== false);
  if (serving.length === 0 && isPassed(endpoint))
    return endpoint.unowned === true ? unknown(path) : switchedOff(path, endpoint, speaking);
  const open = serving.filter(({ files }) => files === null || files.includes(tenant));
  // Only Google's uploads change something without naming an object.
  const changes =
    endpoint.object === null && !['GET', 'POST'].includes(endpoint.method) && !path.startsWith('/upload/');
  if (changes && open.some((each) => !keepsForOne(each, table))) return notTheirs(path);
  const asked = headers['x-sidegate-provider'];
  const named = asked === undefined ? open : open.filter(({ name }) => name === asked);
  const usable = endpoint.object === null ? named : named.filter(mayUse(endpoint.object, tenant, table));
  if (named.length > 0 && usable.length === 0)
    return endpoint.unowned === true ? ofNobody(path) : notTheirs(endpoint.object ?? '');
  const chosen = narrowed(usable, endpoint, tenant, table);
  const [first, second] = chosen;
  if (first !== undefined && second === undefined) return table.planOf(first, endpoint, model);
  const which = open.length === 0 ? 'No provider keeps' : `${open.map(({ name }) => name).join(', ')} keep`;
  const what = asked === undefined ? '' : ` The header names ${JSON.stringify(String(asked).slice(0, 128))}.`;
  const kind = endpoint.kind === 'files' ? 'files' : 'such objects';
  return new Refusal('provider_unclear', `${which} ${kind} of this tenant.${what}`, {
    param: 'x-sidegate-provider',
  });
}

/** Whether an object is known to be another tenant's, at a provider or another that may stand for the same account. */
export function isForeign(id: string, { dialect }: Provider, tenant: string, table: ObjectTable): boolean {
  const api = apiOf(dialect.name);
  return table.providers.some(
    (each) => apiOf(each.dialect.name) === api && (table.owners.of(each.name, id) ?? tenant) !== tenant,
  );
}

/** Whether an object at a provider may be a tenant's: it made it, or all objects there are its. */
const mayUse =
  (id: string, tenant: string, table: ObjectTable) =>
  (provider: Provider): boolean => {
    const owner = table.owners.of(provider.name, id);
    return owner === undefined ? keepsForOne(provider, table) : owner === tenant;
  };

/** Of several providers, those that made the object, else those of the very dialect. */
function narrowed(
  providers: readonly Provider[],
  { object, dialect }: Endpoint,
  tenant: string,
  { owners }: ObjectTable,
): readonly Provider[] {
  const makers = providers.filter(({ name }) => object !== null && owners.of(name, object) === tenant);
  if (makers.length > 0) return makers;
  const exact = providers.filter((provider) => provider.dialect.name === dialect);
  return exact.length > 0 ? exact : providers;
}

/** The refusal where no provider is passed what isn't modelled. @param speaking those of the dialect */
export function switchedOff(
  path: string,
  { dialect, method }: Pick<Endpoint, 'dialect' | 'method'>,
  speaking: readonly Provider[],
): Refusal {
  const what = `${method} ${JSON.stringify(path.slice(0, 128))} is passed on only to providers with \`passthrough: true\``;
  const names = speaking.slice(0, 8).map(({ name }) => name);
  const why =
    names.length === 0
      ? `there is no provider of the ${dialect} dialect`
      : `it is off for ${names.join(', ')}`;
  return new Refusal('passthrough_off', `${what}, and ${why}.`);
}

/** The refusal of a path that is neither known here nor passed on. */
const unknown = (path: string): Refusal =>
  new Refusal(
    'not_found',
    `There is no endpoint ${JSON.stringify(path.slice(0, 128))}, and no provider of its dialect with \`passthrough\`.`,
  );

/** The refusal of a path of which nobody can tell whose objects it names. */
const ofNobody = (path: string): Refusal =>
  new Refusal(
    'object_not_found',
    `${JSON.stringify(path.slice(0, 128))} is passed on only to a provider whose objects are all this tenant's.`,
  );

/** The refusal of an object that isn't the tenant's. */
export const notTheirs = (id: string): Refusal =>
  new Refusal('object_not_found', `No object ${JSON.stringify(id.slice(0, 128))} of this tenant is known.`);
