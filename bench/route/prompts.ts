/** Labelled prompts: lines of `{"messages": […], "tier": "simple|moderate|complex"}`. */
import { readFileSync } from 'node:fs';
import { type Tier, tiers } from '../../src/native/classify.ts';

/** A request as a client would send it, and the tier people assigned. */
export interface Prompt {
  readonly body: Buffer;
  readonly tier: Tier;
  readonly text: string;
}

/** Reads a file of such lines. @throws if a line is invalid, naming it */
export function readPrompts(path: string): Prompt[] {
  const lines = readFileSync(path, 'utf8').split('\n');
  return lines.flatMap((line, index): Prompt[] => {
    if (line.trim() === '') return [];
    const wrong = (what: string): Error => new Error(`${path}, line ${index + 1}: ${what}`);
    let entry: { messages?: unknown; tier?: unknown };
    try {
      entry = JSON.parse(line) as typeof entry;
    } catch {
      throw wrong('is not JSON');
    }
    const { tier, ...request } = entry ?? {};
    const known = tiers.find((each) => each === tier);
    if (known === undefined) throw wrong(`"tier" must be one of ${tiers.join(', ')}`);
    if (!Array.isArray(request.messages)) throw wrong('"messages" must be a list');
    return [{ body: Buffer.from(JSON.stringify({ model: 'any', ...request })), tier: known, text: line }];
  });
}

/** Every fourth line of the labelled set is excluded from training. */
export const heldOut = (index: number): boolean => index % 4 === 3;
