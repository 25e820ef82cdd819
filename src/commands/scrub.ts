/** `sidegate scrub FILE`: what would be found in a text, without the values themselves. */
import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { Cancellation } from '../base/cancellation.ts';
import { Refusal } from '../base/errors.ts';
import { silent } from '../base/telemetry.ts';
import { loadConfig } from '../config/load.ts';
import { configSchema } from '../config/schema.ts';
import { nativeEndpoint } from '../native/inspect.ts';
import { findPii, promptTexts } from '../native/pii.ts';
import { createScrubPolicies } from '../scrub/policy.ts';
import { createRecogniser } from '../scrub/recogniser/recogniser.ts';
import type { RecogniserSettings } from '../scrub/recogniser/settings.ts';
import type { Shell } from './shell.ts';

/**
 * Prints a line for each finding: place, kind and length. Exit code 0; 1 if the configuration has faults, or its recogniser
 * could not be asked.
 */
export async function scrubCommand(args: string[], shell: Shell): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    options: { config: { type: 'string', short: 'c' } },
    allowPositionals: true,
  });
  const [path, ...others] = positionals;
  if (path === undefined || others.length > 0) {
    shell.printError('usage: sidegate scrub FILE [--config FILE]\n');
    return 2;
  }
  const loaded = values.config === undefined ? null : loadConfig(values.config, shell.env);
  if (loaded !== null && !loaded.ok) {
    shell.printError(`${values.config} has faults: \`sidegate check ${values.config}\` lists them.\n`);
    return 1;
  }
  const settings = loaded === null ? configSchema.parse({}).scrub : loaded.config.scrub;
  const { request, recognises } = createScrubPolicies(settings, Buffer.alloc(32)).of('');
  const text = await readFile(path, 'utf8');
  const { recogniser } = settings;
  const asked = recogniser !== undefined && recognises ? await ask(text, recogniser, shell) : undefined;
  const begunMs = performance.now();
  const found = findPii(request.policy, text, '', asked instanceof Refusal ? undefined : asked);
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
  if (!(asked instanceof Refusal)) return 0;
  shell.printError(`${asked.text}\n`);
  return 1;
}

/** What the recogniser of a configuration finds in a text. */
async function ask(
  text: string,
  settings: RecogniserSettings,
  { env }: Shell,
): Promise<Uint32Array | Refusal | undefined> {
  const world = { clock: () => performance.now(), env, telemetry: silent };
  const recogniser = createRecogniser({ ...settings, onFailure: 'refuse' }, world);
  const body = Buffer.from(JSON.stringify({ messages: [{ content: text }] }));
  const waits = { cancellation: new Cancellation(), deadlineMs: Number.POSITIVE_INFINITY };
  const found = await recogniser.find(promptTexts(body, nativeEndpoint.Chat), waits);
  recogniser.close();
  return found ?? undefined;
}
