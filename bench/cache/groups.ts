/**
 * Reads the groups of questions: families (blocks) of lines; the wordings of a line ask the same, those of its
 * family's other lines something else. `{slot}` stands for one of a list of values, `[a/b]` for either.
 */
import { readdirSync, readFileSync } from 'node:fs';
import type { Random } from './random.ts';

/**
 * Which pairs a family gives: to train on, to set thresholds on, to report. Whole domains, so that none is in two. Those
 * of `earlier` were reported on before, and have been read too often to be called unseen. Those of `far` come from another
 * hand, whose wordings share as few words as the language allows: they say where the model ends.
 */
export const splits = ['train', 'tune', 'report', 'earlier', 'far'] as const;
export type Split = (typeof splits)[number];

/** A family of questions that look alike. */
export interface Family {
  readonly domain: string;
  readonly split: Split;
  /** Each a list of wordings. */
  readonly lines: readonly (readonly string[])[];
  readonly slots: Slots;
}

/** Values by slot; those of an inner list say the same. */
type Slots = ReadonlyMap<string, readonly (readonly string[])[]>;

/** One value of each slot that a wording has. */
export type Values = ReadonlyMap<string, readonly string[]>;

const folder = new URL('groups/', import.meta.url);
const common = 'SLOTS.txt';

/** Domains that aren't trained on. */
const kept: Readonly<Record<Exclude<Split, 'train'>, readonly string[]>> = {
  tune: 'ads calls car coffee hr media pets plumber rentals storage study visa writing'.split(' '),
  report: ['dentist', 'print', 'ski', 'sql', 'zoo'],
  earlier: ['fitness', 'health', 'prompts', 'telecom'],
  far: ['chess', 'customs', 'ferry', 'payroll', 'podcast', 'solar'],
};
const splitOf = (domain: string): Split =>
  splits.find((split) => split !== 'train' && kept[split].includes(domain)) ?? 'train';

const slotPattern = /\{(\w+)\}/g;

function readSlot(line: string): [string, readonly (readonly string[])[]] {
  const [name = '', values = ''] = line.slice(1).split(/:(.*)/);
  return [name.trim(), values.split(';').map((value) => value.split('/').map((one) => one.trim()))];
}

function readFile(name: string): { slots: [string, readonly (readonly string[])[]][]; blocks: string[][][] } {
  const lines = readFileSync(new URL(name, folder), 'utf8').split('\n');
  const slots = lines.filter((line) => line.startsWith('=')).map(readSlot);
  const blocks: string[][][] = [[]];
  for (const line of lines) {
    if (line.trim() === '') blocks.push([]);
    else if (!/^[=#]/.test(line)) blocks.at(-1)?.push(line.split(' | ').map((wording) => wording.trim()));
  }
  return { slots, blocks: blocks.filter((block) => block.length > 0) };
}

/** All families, in a fixed order. */
export function readFamilies(): Family[] {
  const shared = readFile(common).slots;
  const files = readdirSync(folder).filter((name) => name !== common && name.endsWith('.txt'));
  return files.sort().flatMap((name) => {
    const domain = name.slice(0, -4);
    const { slots, blocks } = readFile(name);
    const all: Slots = new Map([...shared, ...slots]);
    return blocks.map((lines) => ({ domain, split: splitOf(domain), lines, slots: all }));
  });
}

/** Names of the slots that wordings have. */
export function slotsOf(wordings: readonly string[]): string[] {
  return [
    ...new Set(wordings.flatMap((wording) => [...wording.matchAll(slotPattern)].map((m) => m[1] ?? ''))),
  ];
}

/** A value for each slot of a line; no two slots get the same. */
export function choose(family: Family, wordings: readonly string[], random: Random): Values {
  const chosen = new Map<string, readonly string[]>();
  for (const slot of slotsOf(wordings)) {
    const values = family.slots.get(slot);
    if (values === undefined) throw new Error(`${family.domain}: the slot {${slot}} has no values`);
    const taken = new Set([...chosen.values()].map((value) => value[0]));
    const free = values.filter((value) => !taken.has(value[0]));
    chosen.set(slot, random.pick(free));
  }
  return chosen;
}

/** The same values, but for one slot; null if there is no slot. */
export function chooseOther(family: Family, values: Values, random: Random): Values | null {
  const slots = [...values.keys()];
  if (slots.length === 0) return null;
  const [first, second] = slots;
  // Two of a kind may change places.
  if (first !== undefined && second === `${first}2` && random.chance(0.4)) {
    return new Map([
      [first, values.get(second) ?? []],
      [second, values.get(first) ?? []],
    ]);
  }
  const slot = random.pick(slots);
  const taken = new Set([...values.values()].map((value) => value[0]));
  const free = (family.slots.get(slot) ?? []).filter((value) => !taken.has(value[0]));
  return free.length === 0 ? null : new Map([...values, [slot, random.pick(free)]]);
}

/** A wording with its alternatives decided and its slots filled. */
export function fill(wording: string, values: Values, random: Random): string {
  const decided = wording.replace(/\[([^\]]*)\]/g, (_, all: string) => random.pick(all.split('/')));
  const filled = decided.replace(slotPattern, (_, slot: string) => random.pick(values.get(slot) ?? [slot]));
  return filled.replace(/\s+/g, ' ').trim();
}

/** How many questions the groups hold: lines, each as often as its slots have values. */
export function countGroups(families: readonly Family[]): { domains: number; lines: number; groups: number } {
  let [lines, groups] = [0, 0];
  for (const family of families) {
    for (const wordings of family.lines) {
      const sizes = slotsOf(wordings).map((slot) => family.slots.get(slot)?.length ?? 1);
      lines += 1;
      groups += sizes.reduce((product, size) => product * size, 1);
    }
  }
  return { domains: new Set(families.map((family) => family.domain)).size, lines, groups };
}
