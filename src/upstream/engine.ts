/** Self-hosted engines: what each kind offers to be watched by, and what was last seen of one. */

import type { Target } from './target.ts';

export const engineNames = ['vllm', 'sglang', 'tgi', 'llamacpp', 'ollama', 'generic'] as const;
export type EngineName = (typeof engineNames)[number];

/** What an engine counts, by the names of its metrics; of several names the first that is there counts. */
interface EngineMetrics {
  readonly waiting: readonly string[];
  readonly running: readonly string[];
  /** Share of the KV cache in use, 0–1. */
  readonly cacheUse: readonly string[];
}

/** One kind of engine, as data. Paths are of the server, not of its `/v1`. */
export interface EngineKind {
  readonly healthPath: string;
  /** Null: the engine counts nothing that could be read. */
  readonly metrics: { readonly path: string; readonly names: EngineMetrics } | null;
  /** Where this was read. */
  readonly docs: string;
}

export const engineKinds: Readonly<Record<EngineName, EngineKind>> = {
  vllm: {
    healthPath: '/health',
    metrics: {
      path: '/metrics',
      names: {
        waiting: ['vllm:num_requests_waiting'],
        running: ['vllm:num_requests_running'],
        // The second is what versions before 0.10 call it.
        cacheUse: ['vllm:kv_cache_usage_perc', 'vllm:gpu_cache_usage_perc'],
      },
    },
    docs: 'https://docs.vllm.ai/en/stable/usage/metrics/',
  },
  sglang: {
    healthPath: '/health',
    // Only with `--enable-metrics`.
    metrics: {
      path: '/metrics',
      names: {
        waiting: ['sglang:num_queue_reqs'],
        running: ['sglang:num_running_reqs'],
        cacheUse: ['sglang:token_usage'],
      },
    },
    docs: 'https://docs.sglang.io/references/production_metrics.html',
  },
  tgi: {
    healthPath: '/health',
    metrics: {
      path: '/metrics',
      names: { waiting: ['tgi_queue_size'], running: ['tgi_batch_current_size'], cacheUse: [] },
    },
    docs: 'https://huggingface.co/docs/text-generation-inference/reference/metrics',
  },
  llamacpp: {
    healthPath: '/health',
    // Only with `--metrics`.
    metrics: {
      path: '/metrics',
      names: {
        waiting: ['llamacpp:requests_deferred'],
        running: ['llamacpp:requests_processing'],
        cacheUse: ['llamacpp:kv_cache_usage_ratio'],
      },
    },
    docs: 'https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md',
  },
  ollama: {
    healthPath: '/api/version',
    metrics: null,
    docs: 'https://docs.ollama.com/api-reference/get-version',
  },
  generic: { healthPath: '/v1/models', metrics: null, docs: 'README.md#self-hosted-engines' },
};

/** What is known of one engine. Written by its probe and by the calls that go to it; read by the choice of targets. */
export interface Engine {
  readonly kind: EngineName;
  readonly probe: ProbeSettings;
  /** Probes that failed in a row. */
  failures: number;
  /** Requests in its own queue, and at work, by its own word. */
  waiting: number;
  running: number;
  cacheUse: number;
  /** When it last said so, monotonic ms; -Infinity: never. */
  seenMs: number;
  /** Calls of this process that are under way, now and when the numbers were read. */
  inFlight: number;
  inFlightSeen: number;
}

/** How an engine is watched. */
export interface ProbeSettings {
  /** Between two probes, ms. */
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** Failures in a row that make it down. */
  readonly failuresMax: number;
}

/** Where the configuration says nothing. */
export const usualProbe: ProbeSettings = { intervalMs: 2000, timeoutMs: 1000, failuresMax: 2 };

/** An engine of which nothing is known yet: taken for alive. */
export function createEngine(kind: EngineName, probe: ProbeSettings): Engine {
  return {
    kind,
    probe,
    failures: 0,
    waiting: 0,
    running: 0,
    cacheUse: 0,
    seenMs: Number.NEGATIVE_INFINITY,
    inFlight: 0,
    inFlightSeen: 0,
  };
}

/** Its health probe has failed so often that it is passed over while another target lives. */
export const isDown = (engine: Engine): boolean => engine.failures >= engine.probe.failuresMax;

/** Its numbers are believed for three probes, so that one that is lost changes nothing. */
const staleProbes = 3;

/** Its own numbers are young enough to go by. */
export const isFresh = ({ seenMs, probe }: Engine, nowMs: number): boolean =>
  nowMs - seenMs <= staleProbes * (probe.intervalMs + probe.timeoutMs);

/** Calls of this process that began since its numbers were read, less those that ended. */
const sinceSeen = (engine: Engine): number => engine.inFlight - engine.inFlightSeen;

/** Requests it has, by its own numbers where they are fresh, with what was sent since; else by our calls under way. */
export function engineLoad(engine: Engine, nowMs: number): number {
  if (!isFresh(engine, nowMs)) return engine.inFlight;
  return Math.max(0, engine.waiting + engine.running + sinceSeen(engine));
}

/** Requests that wait inside it. What was sent since it said so waits too, if anything did. */
export function engineQueue(engine: Engine, nowMs: number): number {
  if (!isFresh(engine, nowMs)) return engine.inFlight;
  return engine.waiting === 0 ? 0 : Math.max(0, engine.waiting + sinceSeen(engine));
}

/** A call goes out; `callEnded` follows exactly once. */
export function callBegan({ provider: { engine }, health }: Target): void {
  health.inFlight += 1;
  if (engine !== null) engine.inFlight += 1;
}

/** A call is over, its stream included. */
export function callEnded({ provider: { engine }, health }: Target): void {
  health.inFlight -= 1;
  if (engine !== null) engine.inFlight -= 1;
}
