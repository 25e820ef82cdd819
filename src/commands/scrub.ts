/** `sidegate scrub FILE`: what would be found in a text, without the values themselves. */
import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { loadConfig } from '../config/load.ts';
import { configSchema } from '../config/schema.ts';
import { findPii } from '../native/pii.ts';
import { createScrubPolicies } from '../scrub/policy.ts';
import type { Shell } from './shell.ts';

/** Prints a line for each finding: place, kind and length. Exit code 0; 1 if the configuration has faults. */
export async function scrubCommand(args: string[], shell: Shell): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    options: { config: { type: 'string', short: 'c' } },
    allowPositionals: true,
  });
  const [path] = positionals;
  if (path === undefined) {
    shell.printError('usage: sidegate scrub FILE [--config FILE]\n');
    return 2;
  }
  const loaded = values.config === undefined ? null : loadConfig(values.config, shell.env);
  if (loaded !== null && !loaded.ok) {
    shell.printError(`${values.config} has faults: \`sidegate check ${values.config}\` lists them.\n`);
    return 1;
  }
  const settings = loaded === null ? configSchema.parse({}).scrub : loaded.config.scrub;
  const { request } = createScrubPolicies(settings, Buffer.alloc(32)).of('');
  const text = await readFile(path, 'utf8');
  const begunMs = performance.now();
  const found = findPii(request.policy, text, '');
  const tookMs = performance.now() - begunMs;
  const bytes = Buffer.from(text);
  let line = 1;
  let lineStart = 0;
  for (let at = 0; at < found.length; at += 3) {
    const [kind = 0, start = 0, end = 0] = found.slice(at, at + 3);
    for (
      let next = bytes.indexOf(10, lineStart);
      next >= 0 && next < start;
      next = bytes.indexOf(10, lineStart)
    ) {
      line++;
      lineStart = next + 1;
    }
    const column = bytes.toString('utf8', lineStart, start).length + 1;
    shell.print(`${path}:${line}:${column}: ${request.names[kind]}, ${end - start} bytes\n`);
  }
  shell.print(`${found.length / 3} found in ${bytes.length} bytes, ${tookMs.toFixed(3)} ms\n`);
  return 0;
}
