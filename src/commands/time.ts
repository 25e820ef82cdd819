/** Times and spans as commands take them. */
import { UsageError } from './shell.ts';

const unitsMs: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };

/** A span such as 30m, 24h, 7d or 2w, in ms; null: it isn't one. */
export function spanMs(text: string): number | null {
  const [, amount = '', unit = ''] = /^(\d{1,6})([mhdw])$/.exec(text) ?? [];
  return unit === '' ? null : Number(amount) * (unitsMs[unit] ?? 0);
}

/** A day, or a time of it, perhaps with its distance from UTC. */
const moment = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?)(Z|[+-]\d\d:\d\d)?)?$/;

/** Ms since 1970. A time is of UTC unless it says otherwise. @param nowMs the same, for spans that end now */
export function timeOf(option: string, text: string, nowMs: number): number {
  const span = spanMs(text);
  if (span !== null) return nowMs - span;
  const [, day = '', time = '00:00', zone = 'Z'] = moment.exec(text) ?? [];
  const atMs = isDay(day) ? Date.parse(`${day}T${time}${zone}`) : Number.NaN;
  if (Number.isNaN(atMs))
    throw new UsageError(`${option} must be like 7d, 24h, 30m or 2026-11-01, not ${JSON.stringify(text)}.`);
  return atMs;
}

/** Whether there is such a day: of 30 February, `Date` would make the second of March. */
function isDay(day: string): boolean {
  const midnightMs = Date.parse(`${day}T00:00Z`);
  return !Number.isNaN(midnightMs) && new Date(midnightMs).toISOString().startsWith(day);
}
