/** Routing of the files endpoints, whose requests name no model: which provider to ask, and which tenants may. */

import { Refusal } from '../base/errors.ts';
import { freeFacts } from '../catalog/facts.ts';
import { endpoints } from '../exchange/endpoint.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { Identity } from '../exchange/identity.ts';
import type { Plan, Provider, TargetHealth } from '../upstream/target.ts';

/** The providers that keep files. */
export interface FileTable {
  readonly providers: readonly Provider[];
  /** The plan with only this provider. */
  planOf(provider: Provider): Plan;
}

/** @param healthOf state of the target with a label */
export function createFileTable(
  all: ReadonlyMap<string, Provider>,
  healthOf: (label: string) => TargetHealth,
): FileTable {
  const plans = new Map<Provider, Plan>();
  return {
    providers: [...all.values()].filter(({ dialect }) =>
      endpoints.some((endpoint) => endpoint.kind === 'files' && endpoint.dialect === dialect.name),
    ),
    planOf(provider) {
      const known = plans.get(provider);
      if (known !== undefined) return known;
      const label = `${provider.name}/files`;
      const target = { provider, model: null, label, health: healthOf(label), facts: freeFacts };
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
      plans.set(provider, plan);
      return plan;
    },
  };
}

/** The plan for the provider that `x-sidegate-provider` names, otherwise for the only one whose files this tenant may use. */
export function routeFiles(
  { headers }: Exchange,
  { tenant }: Identity,
  { providers, planOf }: FileTable,
): Plan | Refusal {
  const open = providers.filter(({ files }) => files === null || files.includes(tenant));
  const asked = headers['x-sidegate-provider'];
  const named = asked === undefined ? open : open.filter(({ name }) => name === asked);
  const [first, second] = named;
  if (first !== undefined && second === undefined) return planOf(first);
  const which = open.length === 0 ? 'No provider keeps' : `${open.map(({ name }) => name).join(', ')} keep`;
  const what = asked === undefined ? '' : ` The header names ${JSON.stringify(String(asked).slice(0, 128))}.`;
  return new Refusal('files_provider', `${which} files of this tenant.${what}`, {
    param: 'x-sidegate-provider',
  });
}
