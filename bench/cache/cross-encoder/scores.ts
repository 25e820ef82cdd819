/**
 * Writes what the small model, and the cross-encoder where it is named, make of pairs:
 * `node bench/cache/cross-encoder/scores.ts PAIRS.jsonl OUT.json [MODEL]`.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { openCrossEncoder } from '../../../src/native/cross-encoder.ts';
import { decide } from '../../../src/native/search.ts';

const [pairs, out, model] = process.argv.slice(2);
if (pairs === undefined || out === undefined) {
  throw new Error('usage: node bench/cache/cross-encoder/scores.ts PAIRS.jsonl OUT.json [MODEL]');
}
const encoder = model === undefined ? null : await openCrossEncoder(readFileSync(model));
const lines = readFileSync(pairs, 'utf8')
  .split('\n')
  .filter((line) => line !== '');
const scores = lines.map((line) => {
  const { cached, asked, same } = JSON.parse(line) as { cached: string; asked: string; same: boolean };
  const decision = decide(cached, asked);
  const looked = encoder !== null && decision.reason === 'model' && decision.verdict !== 'different';
  // NaN becomes null.
  return { same, ...decision, own: looked ? encoder.score(cached, asked) : null };
});
writeFileSync(out, JSON.stringify(scores));
