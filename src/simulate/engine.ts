/** `/health` and `/metrics` of a self-hosted engine, with numbers that follow the simulator's real load. */
import { type EngineName, engineKinds } from '../catalog/engines.ts';
import type { SimulateSettings } from './settings.ts';

type EngineSettings = SimulateSettings['engine'];

/** A page of the engine. */
export interface EnginePage {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

/** The engine's page at a path; null if it has none. @param inFlight requests the simulator is answering */
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

/** Up to `slots` requests run, the others wait; cache use grows with the requests that run. */
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
