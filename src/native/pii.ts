/** Kinds of personal data, defined by rows of the native core (`native/core/src/pii/kinds.rs`). */
import type * as Binding from '../../native/binding/index.d.ts';
import { native } from './load.ts';

/** A kind of personal data. */
export type PiiKind = Readonly<Binding.PiiKind>;

/** All kinds, indexed by their number. */
export const piiKinds: readonly PiiKind[] = native.piiKinds();

/** Number of a finder, which looks for a set of kinds. It needs no closing: the same set always has the same finder. */
export type PiiFinder = number;

/** The finder of these kinds. @param kinds their names; throws on an unknown one */
export const finderOf = (kinds: readonly string[]): PiiFinder => native.piiFinder([...kinds]);

/** A finder without kinds. */
export const findNothing = finderOf([]);

/** How many values of each kind occur, indexed by the kind's number. */
export type Findings = readonly number[];

/** Nothing was found; always this object, so it may be compared by identity. */
export const noFindings: Findings = piiKinds.map(() => 0);
