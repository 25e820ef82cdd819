/** What is done with each kind of personal data: by tenant and route, in requests and replies. */
import { hash } from 'node:crypto';
import { entryOf } from '../base/json.ts';
import {
  type PiiKind,
  type PiiPolicy,
  type PiiRule,
  type PiiScope,
  piiAction,
  piiKinds,
  policyOf,
} from '../native/pii.ts';
import { type ActionName, usualAction } from './action.ts';
import type { ScrubPolicySettings, ScrubSettings } from './settings.ts';

/** What is looked for, and what is refused instead of replaced. */
export interface ScrubPolicy {
  readonly request: PiiScope;
  /** Null: replies are not searched. */
  readonly reply: PiiScope | null;
  /** Some kind is changed in requests, or refused. */
  readonly acts: boolean;
  /** A recogniser must see the texts of requests. */
  readonly recognises: boolean;
  /** Names of the kinds that requests are refused for. */
  readonly blocked: ReadonlySet<string>;
  /** Names the policy in cache keys. */
  readonly name: string;
  /** What is replaced in texts that go to traces: values of each kind, whatever may go to providers and clients. */
  exported(): PiiScope;
}

/** The policies of a configuration. */
export interface ScrubPolicies {
  of(tenant: string): ScrubPolicy;
  /** Null: the route has no policy of its own. @param pattern the route's `model` */
  ofRoute(tenant: string, pattern: string): ScrubPolicy | null;
}

/** Values that agents need as they are, such as the addresses that they sign commits with. */
export const builtInAllowed = [
  'noreply@anthropic.com',
  'noreply@openai.com',
  'noreply@github.com',
  '175728472+copilot@users.noreply.github.com',
  '198982749+copilot@users.noreply.github.com',
  'cursoragent@cursor.com',
  'noreply@aider.chat',
  'openhands@all-hands.dev',
  'git@github.com',
  'git@gitlab.com',
  'git@bitbucket.org',
  'support@anthropic.com',
  'support@openai.com',
];

const actions: Readonly<Record<ActionName, PiiRule['action']>> = {
  tokenise: piiAction.Tokenise,
  redact: piiAction.Redact,
  mask: piiAction.Mask,
  hash: piiAction.Hash,
  block: piiAction.Block,
  report: piiAction.Report,
  off: piiAction.Off,
};

const isAct = (action: ActionName | undefined): boolean =>
  action !== undefined && action !== 'report' && action !== 'off';

/** What becomes of a kind in exported texts: at least what is usual. */
const exportAction = (chosen: ActionName | undefined, usual: ActionName): ActionName =>
  chosen === 'block' ? 'redact' : chosen !== undefined && isAct(chosen) ? chosen : usual;

/** Tenants whose policies are kept; past it they are made anew. */
const scopesMax = 1000;

/** Compiled policies that are kept for others with the same actions; past it they are compiled anew. */
const compiledMax = 1000;

type Actions = Readonly<Record<string, ActionName | undefined>>;
type Own = ScrubSettings['custom'][number];

/** The rule of a kind of the configuration's own. */
export const customRule = ({ name, pattern, words }: Own, action: ActionName): PiiRule => ({
  name,
  action: actions[action],
  ...(pattern === undefined ? { words: words ?? [] } : { pattern }),
});

/** @param fallbackSecret keys placeholders where the configuration has no secret */
export function createScrubPolicies(settings: ScrubSettings, fallbackSecret: Buffer): ScrubPolicies {
  const key = settings.secret === undefined ? fallbackSecret : Buffer.from(settings.secret);
  const names = [...piiKinds, ...settings.custom].map(({ name }) => name);
  const allowed = [...builtInAllowed, ...settings.allow];
  const recognised = new Set<string>(Object.values(settings.recogniser?.entities ?? {}));
  const isFound = ({ name, recognised: only }: PiiKind): boolean => !only || recognised.has(name);
  const atLeast: Actions = Object.fromEntries(
    piiKinds.map((kind) => [kind.name, isFound(kind) ? usualAction(kind) : 'off']),
  );
  const usual: Actions = Object.fromEntries([
    ...Object.entries(atLeast),
    ...settings.custom.map(({ name, action }) => [name, action]),
  ]);
  const usualInReply: Actions = Object.fromEntries(settings.custom.map(({ name, reply }) => [name, reply]));
  const scopes = new Map<ScrubPolicySettings | undefined, Map<string, ScrubPolicy>>();

  const compiled = new Map<string, PiiPolicy>();
  const compile = (chosen: Actions): { policy: PiiPolicy; text: string } => {
    const builtIn = piiKinds.map(({ name }) => ({ name, action: actions[chosen[name] ?? 'off'] }));
    const own = settings.custom.map((kind) => customRule(kind, chosen[kind.name] ?? 'off'));
    const rules = [...builtIn, ...own];
    const text = rules.map(({ action }) => action).join('');
    const policy = compiled.get(text) ?? policyOf(rules, allowed, key);
    if (compiled.size >= compiledMax) compiled.clear();
    compiled.set(text, policy);
    return { policy, text };
  };

  const build = (tenant: string, route: ScrubPolicySettings | undefined): ScrubPolicy => {
    const own = settings.tenants[tenant];
    const chosen: Actions = { ...usual, ...settings.request, ...own?.request, ...route?.request };
    const inReply: Actions = { ...usualInReply, ...settings.reply, ...own?.reply, ...route?.reply };
    const request = compile(chosen);
    const reply = compile(inReply);
    const searched = Object.values(inReply).some((action) => action !== 'off');
    const scope = { names, tenant: Buffer.from(tenant) };
    let exported: PiiScope | null = null;
    const exportScope = (): PiiScope => {
      const all = names.map((kind) => [
        kind,
        exportAction(chosen[kind], entryOf(atLeast, kind) ?? 'tokenise'),
      ]);
      return { ...scope, policy: compile(Object.fromEntries(all)).policy };
    };
    return {
      request: { ...scope, policy: request.policy },
      reply: searched ? { ...scope, policy: reply.policy } : null,
      acts: names.some((name) => isAct(chosen[name])),
      recognises: [...recognised].some((name) => chosen[name] !== 'off'),
      blocked: new Set(names.filter((name) => chosen[name] === 'block')),
      exported() {
        exported ??= exportScope();
        return exported;
      },
      // Replies are kept with placeholders: those of another key could not be restored.
      name: hash(
        'sha256',
        JSON.stringify([
          request.text,
          reply.text,
          settings.custom,
          settings.recogniser?.entities ?? {},
          allowed,
          key.toString('hex'),
        ]),
      ),
    };
  };

  const find = (tenant: string, route: ScrubPolicySettings | undefined): ScrubPolicy => {
    const tenants = scopes.get(route) ?? new Map<string, ScrubPolicy>();
    scopes.set(route, tenants);
    const known = tenants.get(tenant);
    if (known !== undefined) return known;
    if (tenants.size >= scopesMax) tenants.clear();
    const policy = build(tenant, route);
    tenants.set(tenant, policy);
    return policy;
  };

  const routes = new Map(Object.entries(settings.routes));
  return {
    of: (tenant) => find(tenant, undefined),
    ofRoute(tenant, pattern) {
      const route = routes.get(pattern);
      return route === undefined ? null : find(tenant, route);
    },
  };
}
