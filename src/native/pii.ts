/** Kinds of personal data: rows of the native core (`native/core/src/pii/kinds.rs`), from which everything else is said. */
import type * as Binding from '../../native/binding/index.d.ts';
import { native } from './load.ts';

/** A kind of personal data. */
export type PiiKind = Readonly<Binding.PiiKind>;

/** All kinds, by number. */
export const piiKinds: readonly PiiKind[] = native.piiKinds();

/** Looks for some kinds; made of their names, once for a configuration. */
export type PiiFinder = Binding.PiiFinder;
export const { PiiFinder } = native;

/** Looks for nothing. */
export const findNothing = new PiiFinder([]);

/** How often values of each kind occur, by the kind's number. */
export type Findings = readonly number[];

/** Nothing was found. It is always this very list. */
export const noFindings: Findings = piiKinds.map(() => 0);
