/** A request's line for people at a terminal: short, coloured, and with what matters. */
import { type ExchangeRecord, isFailure } from './record.ts';

const colour = (code: number, text: string): string => `\u001b[${code}m${text}\u001b[0m`;
const green = 32;
const yellow = 33;
const red = 31;
const grey = 90;

/** Small amounts with two significant digits. */
function dollars(nanoUsd: number): string {
  const usd = nanoUsd / 1e9;
  return `$${usd >= 0.01 ? usd.toFixed(2) : usd.toFixed(9).replace(/^(0\.0*\d\d?)\d*$/, '$1')}`;
}

const time = (ms: number): string =>
  ms < 10 ? `${ms.toFixed(1)} ms` : ms < 10_000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;

/** `12:03:11 200 sim-gpt → simulator/sim-gpt 91 ms $0.0012 hit, 1 email`. @param wallMs ms since 1970 */
export function terminalLine(record: ExchangeRecord, wallMs: number): string {
  const { status, error, model, target, durationMs, costNanoUsd, cache, replayed, attempts, findings } =
    record;
  const kind = isFailure(record) ? red : status >= 400 || error !== '' ? yellow : green;
  const at = new Date(wallMs).toTimeString().slice(0, 8);
  const notes = [
    ...(error === '' ? [] : [colour(kind, error)]),
    ...(replayed ? ['repeated'] : cache === 'hit' ? ['hit'] : []),
    ...(attempts > 1 ? [`${attempts} calls`] : []),
    ...findings.map(({ kind: name, count }) => `${count} ${name}`),
  ].join(', ');
  const what = model === '' ? record.endpoint : model;
  const parts = [
    colour(grey, at),
    colour(kind, String(status)),
    target === '' ? what : `${what} → ${target}`,
    time(durationMs),
    ...(costNanoUsd > 0 ? [dollars(costNanoUsd)] : []),
    ...(notes === '' ? [] : [notes]),
  ];
  return `${parts.join(' ')}\n`;
}
