/**
 * What restoring adds to the time to the first token, in µs of CPU time: making a restorer and passing the first event
 * through it. `node bench/pii/restore.ts`.
 */
import { dialects } from '../../src/dialects/index.ts';
import { createRestorer } from '../../src/scrub/restore.ts';

const rounds = 20_000;
const vaultOf = (values: number): Map<string, string> =>
  new Map(
    Array.from({ length: values }, (_, i) => [
      `[EMAIL_${String(i).padStart(6, '0')}]`,
      `person${i}@example.com`,
    ]),
  );
const first = (content: string): Buffer =>
  Buffer.from(
    `data: ${JSON.stringify({ id: 'c', choices: [{ index: 0, delta: { content }, finish_reason: null }] })}\n\n`,
  );

console.log('| values in the request | first piece | µs |\n| --- | --- | --- |');
for (const values of [1, 10, 100])
  for (const content of ['Hi', '[EMAIL_000000]']) {
    const vault = vaultOf(values);
    const event = first(content);
    let best = Number.POSITIVE_INFINITY;
    for (let run = 0; run < 5; run++) {
      const before = process.cpuUsage();
      for (let round = 0; round < rounds; round++) createRestorer(dialects.openai, vault).push(event);
      const { user, system } = process.cpuUsage(before);
      best = Math.min(best, (user + system) / rounds);
    }
    console.log(`| ${values} | ${content} | ${best.toFixed(1)} |`);
  }
