/** Metrics of self-hosted engines: their own figures, as their probes last read them. */
import type { Registry } from 'prom-client';
import Gauge from 'prom-client/lib/gauge.js';
import { isDown } from '../upstream/engine.ts';
import type { Engine } from '../upstream/target.ts';

/** The latest probe results of self-hosted engines. */
export function collectEngines(
  gauges: { engines(): Iterable<readonly [string, Engine]> },
  registers: Registry[],
): void {
  const labelled = (name: string, help: string, read: (engine: Engine) => number): void => {
    new Gauge({
      name,
      help,
      labelNames: ['provider'],
      aggregator: 'first',
      registers,
      collect() {
        this.reset();
        for (const [provider, engine] of gauges.engines()) this.set({ provider }, read(engine));
      },
    });
  };
  labelled('sidegate_engine_up', '1: the engine passes its health probe; 0: it fails.', (engine) =>
    isDown(engine) ? 0 : 1,
  );
  labelled(
    'sidegate_engine_waiting',
    'Requests queued inside the engine, as it reports.',
    ({ waiting }) => waiting,
  );
  labelled(
    'sidegate_engine_running',
    'Requests the engine is processing, as it reports.',
    ({ running }) => running,
  );
  labelled(
    'sidegate_engine_cache_use',
    'Share of the KV cache in use, as the engine reports.',
    ({ cacheUse }) => cacheUse,
  );
}
