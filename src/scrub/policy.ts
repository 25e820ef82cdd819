/** The scrub policy: what is done with each kind of personal data. */

import { finderOf, type PiiFinder, piiKinds } from '../native/pii.ts';
import type { ScrubSettings } from './settings.ts';

/** Which personal data is searched for, and which of it is refused instead of masked. */
export interface ScrubPolicy {
  readonly finder: PiiFinder;
  /** Numbers of the kinds that are refused. */
  readonly blocked: readonly number[];
  /** Identifies the policy in cache keys. */
  readonly name: string;
}

/** Creates the policy of a configuration. */
export function createScrubPolicy(settings: ScrubSettings): ScrubPolicy {
  const modes = piiKinds.map(({ name }) => settings[name] ?? 'off');
  const sought = piiKinds.filter((_, kind) => modes[kind] !== 'off');
  return {
    finder: finderOf(sought.map(({ name }) => name)),
    blocked: piiKinds.map((_, kind) => kind).filter((kind) => modes[kind] === 'block'),
    name: modes.join('/'),
  };
}
