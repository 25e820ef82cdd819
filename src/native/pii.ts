/** Kinds of personal data, defined by rows of the native core (`native/core/src/pii/kinds.rs`). */
import type * as Binding from '../../native/binding/index.d.ts';
import { native } from './load.ts';

/** A kind of personal data. */
export type PiiKind = Readonly<Binding.PiiKind>;

/** All kinds, indexed by their number. */
export const piiKinds: readonly PiiKind[] = native.piiKinds();

/** Looks for some kinds; created from their names, once per configuration. */
export type PiiFinder = Binding.PiiFinder;
export const { PiiFinder } = native;

/** A finder without kinds. */
export const findNothing = new PiiFinder([]);

/** How many values of each kind occur, indexed by the kind's number. */
export type Findings = readonly number[];

/** Nothing was found; always this object, so it may be compared by identity. */
export const noFindings: Findings = piiKinds.map(() => 0);
