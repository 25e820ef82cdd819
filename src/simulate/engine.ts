/** `/health` and `/metrics` as a self-hosted engine has them, with numbers that follow the simulator's real load. */
import { type EngineName, engineKinds } from '../catalog/engines.ts';
import type { SimulateSettings } from './settings.ts';

type EngineSettings = SimulateSettings['engine'];

/** A page of an engine's own; null: it has none of this path. */
export interface EnginePage {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

/** @param inFlight requests the simulator is answering */
export function enginePage(path: string, settings: EngineSettings, inFlight: number): EnginePage | null {
  const kind = engineKinds[settings.kind];
  if (path === kind.healthPath && path !== '/v1/models') {
    return { status: settings.healthy ? 200 : 503, contentType: 'application/json', body: '{}' };
  }
  if (path !== kind.metrics?.path) return null;
  return {
    status: 200,
    contentType: 'text/plain; version=0.0.4; charset=utf-8',
    body: metricsText(settings, inFlight),
  };
}

/** As many as there are slots are at work, the others wait; the cache fills with the work. */
function metricsText({ kind, slots, running, waiting, cacheUse }: EngineSettings, inFlight: number): string {
  const working = Math.min(inFlight, slots);
  const used = Math.min(1, cacheUse + ((1 - cacheUse) * working) / slots);
  const values = { waiting: waiting + inFlight - working, running: running + working, cacheUse: used };
  return namesOf(kind)
    .map(([name, value]) => `# TYPE ${name} gauge\n${name}{model_name="simulated"} ${values[value]}\n`)
    .join('');
}

function namesOf(kind: EngineName): (readonly [string, 'waiting' | 'running' | 'cacheUse'])[] {
  const names = engineKinds[kind].metrics?.names;
  return (['waiting', 'running', 'cacheUse'] as const).flatMap((value) => {
    const name = names?.[value][0];
    return name === undefined ? [] : [[name, value] as const];
  });
}
