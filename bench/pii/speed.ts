/**
 * How fast personal data is looked for, all kinds on, in MB/s of one core's CPU time, against the same patterns as
 * regular expressions of JavaScript: `node bench/pii/speed.ts`. Corpora are made of files of this repository.
 */
import { readFileSync } from 'node:fs';
import { findPii, piiAction, piiKinds, policyOf, scrubDocument } from '../../src/native/pii.ts';

const root = new URL('../../', import.meta.url);
const read = (name: string): string => readFileSync(new URL(name, root), 'utf8');

/** Bytes of each corpus. */
const bytesMin = 1 << 20;
const names = piiKinds.map(({ name }) => name);
const scope = {
  policy: policyOf(
    names.map((name) => ({ name, action: piiAction.Redact })),
    [],
    Buffer.alloc(32, 1),
  ),
  names,
  tenant: Buffer.alloc(0),
};

/** The prompts of the router's training set: sentences with capitals and digits. Those that hold something are left out. */
const prompts = read('test/fixtures/route/prompts.jsonl')
  .split('\n')
  .filter((line) => line !== '' && findPii(scope.policy, line, '').length === 0)
  .flatMap((line) => (JSON.parse(line) as { messages: { content: unknown }[] }).messages)
  .map(({ content }) => content)
  .filter((text) => typeof text === 'string')
  .join('\n');
const code = ['json/walker.rs', 'pii/finder.rs', 'request/inspector.rs']
  .map((name) => read(`native/core/src/${name}`))
  .join('');
const values = [
  'ann.smith@example.com',
  '4111 1111 1111 1111',
  '+41 44 668 18 00',
  'GB82 WEST 1234 5698 7654 32',
  '106.31.73.20',
];
const sown = (text: string): string => {
  const pieces: string[] = [];
  for (let at = 0; at < text.length; at += 180)
    pieces.push(text.slice(at, at + 180), ` ${values[(at / 180) % values.length]} `);
  return pieces.join('');
};
const long = (text: string): string => text.repeat(Math.ceil(bytesMin / text.length));

const corpora: Readonly<Record<string, string>> = {
  prose: long(prompts),
  code: long(code),
  // As tool arguments are: a string of JSON, which becomes a string once more.
  'JSON with escapes': long(JSON.stringify(JSON.parse(read('deploy/sidegate.schema.json')), null, 2)),
  'prose with a finding per 200 bytes': long(sown(prompts)),
};

/** What JavaScript would have: a pattern for each sort, without checks or context. */
const patterns = [
  /[\w.%+'-]{1,64}@[\w-]{1,63}(?:\.[\w-]{2,63})+/g,
  /\b\d(?:[ -]?\d){11,18}\b/g,
  /\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?\b/gi,
  /(?:\+|\b00)\d(?:[ .()/-]{0,2}\d){6,14}\b/g,
  /\(?\b[2-9]\d{2}\)?[ .-]\d{3}[ .-]\d{4}\b/g,
  /\b(?:\d{1,3}\.){3}\d{1,3}\b/g,
  /\b(?:[0-9a-f]{1,4}:){2,7}[0-9a-f]{1,4}\b/gi,
  /\b(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}\b/gi,
  /\b\d{3}-?\d{2}-?\d{4}\b/g,
  /\b[A-Z]{2}\d{6}[A-D]\b/g,
  /\b[XYZ\d]\d{7}-?[A-Z]\b/g,
  /\b[A-Z]{6}\d{2}[A-Z]\d{2}[A-Z]\d{3}[A-Z]\b/g,
  /\b\d{3}\.\d{3}\.\d{3}-\d{2}\b/g,
  /\b\d{11}\b/g,
  /:\/\/[\w.-]+\.[a-z]{2,}/gi,
  /\b(?:AKIA|ASIA|LTAI|AIza|gh[opsur]_|glpat-|sk-|xox[abprs]-|sk_live_|rk_live_|npm_|hf_|dop_v1_|SG\.|pypi-)[\w.-]{16,}/g,
  /\beyJ[\w-]{10,}\.eyJ[\w-]+\.[\w-]+/g,
  /-----BEGIN [A-Z ]*PRIVATE KEY-----/g,
  /\w+:\/\/[^\s:@/]+:[^\s@]+@\S+/g,
  /(?:password|passwd|secret|token|api_?key)["' ]*[:=]["' ]*\S{8,}/gi,
];

/** The fastest of several rounds, in MB/s of CPU time. */
function speed(bytes: number, work: () => unknown): number {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 9; round++) {
    const before = process.cpuUsage();
    work();
    const { user, system } = process.cpuUsage(before);
    best = Math.min(best, user + system);
  }
  return bytes / best;
}

console.log('| corpus | Sidegate, MB/s | JavaScript, MB/s |\n| --- | --- | --- |');
const result: Record<string, number> = {};
for (const [name, text] of Object.entries(corpora)) {
  const body = Buffer.from(JSON.stringify({ x: text }));
  const found = scrubDocument(body, scope).findings;
  const native = speed(body.length, () => scrubDocument(body, scope));
  const js = speed(body.length, () => patterns.map((pattern) => text.match(pattern)?.length ?? 0));
  result[name] = Math.round(native);
  console.log(
    `| ${name} | ${native.toFixed(0)} | ${js.toFixed(1)} | ${found.map(({ kind, count }) => `${kind}=${count}`).join(' ')}`,
  );
}
console.log(JSON.stringify(result));
