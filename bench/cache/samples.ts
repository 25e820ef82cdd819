/**
 * Writes what the model is trained on, as the native core reads it: `node bench/cache/samples.ts OUT [PUBLIC]`, where
 * PUBLIC is a folder with `banking.csv`, `clinc.json` and `advising.json`.
 *
 * For each split `OUT/SPLIT.jsonl`: the pair, what the model reads in it, or how it is decided without the model. In
 * `OUT/talks.jsonl`: conversations.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { decide, features, sample } from '../../src/native/search.ts';
import { countGroups, readFamilies } from './groups.ts';
import { ownPairs, type Pair, publicPairs } from './pairs.ts';
import { talkPairs } from './talks.ts';

const [out = '', open] = process.argv.slice(2);
if (out === '') throw new Error('usage: node bench/cache/samples.ts OUT [PUBLIC]');
mkdirSync(out, { recursive: true });

function write(split: string, pairs: readonly Pair[]): void {
  const lines = pairs.map(({ cached, asked, same, source }) => {
    const decided = decide(cached, asked);
    const exact = decided.reason === 'model' ? null : decided;
    const read = exact === null ? sample(cached, asked) : null;
    return JSON.stringify({
      cached,
      asked,
      same,
      source,
      ...read,
      exact: exact?.verdict,
      reason: exact?.reason,
    });
  });
  writeFileSync(join(out, `${split}.jsonl`), `${lines.join('\n')}\n`);
  const same = pairs.filter((pair) => pair.same).length;
  console.log(`${split}: ${same} that ask the same, ${pairs.length - same} traps`);
}

const families = readFamilies();
console.log(JSON.stringify(countGroups(families)));
const own = ownPairs(1);
write('train', open === undefined ? own.train : [...own.train, ...publicPairs(open, 2)]);
for (const split of ['tune', 'report', 'earlier', 'far'] as const) write(split, own[split]);
const talks = talkPairs(3);
writeFileSync(join(out, 'talks.jsonl'), `${talks.map((pair) => JSON.stringify(pair)).join('\n')}\n`);
writeFileSync(join(out, 'features.json'), JSON.stringify(features));
