/** Personal data: its kinds (rows of `native/core/src/pii/kinds.rs`), and what a configuration does with them. */
import type * as Binding from '../../native/binding/index.d.ts';
import { native } from './load.ts';

/** A kind of personal data. */
export type PiiKind = Readonly<Binding.PiiKind>;

/** The built-in kinds, indexed by their number. */
export const piiKinds: readonly PiiKind[] = native.piiKinds();

/** What becomes of a value. */
export const piiAction = native.PiiAction;

/** What is looked for, and what becomes of it. It needs no closing. */
export type PiiPolicy = Binding.PiiPolicy;

/** What is done with the values of a kind. */
export type PiiRule = Binding.PiiRule;

/**
 * The policy of these rules; kinds that none names are off. Throws on an unknown kind or a pattern that isn't linear.
 * @param allowed values that are left as they are, in any case
 * @param key of placeholders and hashes
 */
export const policyOf = (rules: PiiRule[], allowed: string[], key: Buffer): PiiPolicy =>
  new native.PiiPolicy(rules, allowed, key);

/** A policy in use by its number, for another thread. Throws if there is none. */
export const policyNumbered = (number: number): PiiPolicy => native.PiiPolicy.numbered(number);

/**
 * The values in a text: for each its kind's number, start and end, in bytes.
 * @param label what the text is called
 * @param recognised what a recogniser found in it, as `PiiScope` has it
 */
export const findPii = (policy: PiiPolicy, text: string, label: string, recognised?: Uint32Array): number[] =>
  native.piiFind(policy, text, label, recognised);

/** The texts of a request that a recogniser is asked about, and the number of each among the body's strings. */
export type PromptTexts = Readonly<Binding.PromptTexts>;

/** What a recogniser is asked about: what a model reads of messages, system text, and what tools are given and give. */
export const promptTexts: (body: Buffer, endpoint: Binding.Endpoint) => PromptTexts = native.promptTexts;

/** A text that comes in pieces, whose values are replaced. */
export const { PiiStream } = native;

/** What is replaced in a text, and whose values they are. */
export interface PiiScope {
  readonly policy: PiiPolicy;
  /** Names of the kinds by number; those of the configuration follow the built-in ones. */
  readonly names: readonly string[];
  /** The tenant, UTF-8: another's values have other placeholders. */
  readonly tenant: Buffer;
  /** What a recogniser found in the texts of one request, as `native.inspect` takes it; undefined: none was asked. */
  readonly recognised?: Uint32Array;
}

/** A scope as another thread can take it: objects of the native core belong to their thread. */
export type NumberedScope = Omit<PiiScope, 'policy'> & { readonly policy: number };

/** A scope for another thread. */
export const numbered = ({ policy, ...scope }: PiiScope): NumberedScope => ({
  ...scope,
  policy: policy.number,
});

/** A scope that came from another thread, where buffers come as plain bytes. Throws if its policy is no longer in use. */
export const scopeOf = (scope: NumberedScope): PiiScope => ({
  ...scope,
  policy: policyNumbered(scope.policy),
  tenant: Buffer.from(scope.tenant),
});

/** How often a kind occurs. */
export interface Finding {
  readonly kind: string;
  readonly count: number;
}

/** The kinds that occur. */
export type Findings = readonly Finding[];

/** Nothing was found; always this object, so it may be compared by identity. */
export const noFindings: Findings = [];

/** Looks for nothing. */
export const findNothing: PiiScope = {
  policy: policyOf([], [], Buffer.alloc(0)),
  names: [],
  tenant: Buffer.alloc(0),
};

/** The kinds that occur. @param counts how often each does, by its number */
export function findingsOf(counts: ArrayLike<number>, names: readonly string[]): Findings {
  const found = names.flatMap((kind, at) => {
    const count = counts[at] ?? 0;
    return count > 0 ? [{ kind, count }] : [];
  });
  return found.length === 0 ? noFindings : found;
}

/** `card=1,email=3`; empty: nothing was found. */
export const findingsText = (findings: Findings): string =>
  findings.map(({ kind, count }) => `${kind}=${count}`).join(',');

const counts = new Uint32Array(native.PII_KINDS_MAX);

/** Replaces the values in all strings of a JSON document. Bytes that aren't UTF-8 stay as they are. */
export function scrubDocument(
  body: Buffer,
  { policy, names, tenant }: PiiScope,
): { readonly body: Buffer; readonly findings: Findings } {
  counts.fill(0);
  const edited = native.scrubDocument(body, policy, tenant, counts);
  return { body: edited ?? body, findings: findingsOf(counts, names) };
}
