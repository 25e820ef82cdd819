/** The kinds of self-hosted engines, one row each. */

export const engineNames = ['vllm', 'sglang', 'tgi', 'llamacpp', 'ollama', 'generic'] as const;

/** One of these kinds. */
export type EngineName = (typeof engineNames)[number];

/** Names of an engine's metrics; of several names the first one present is used. */
interface EngineMetrics {
  readonly waiting: readonly string[];
  readonly running: readonly string[];
  /** Share of the KV cache in use, 0–1. */
  readonly cacheUse: readonly string[];
}

/** One kind of engine. Paths start at the server's root, not at `/v1`. */
export interface EngineKind {
  readonly healthPath: string;
  /** Null: the engine has no readable metrics. */
  readonly metrics: { readonly path: string; readonly names: EngineMetrics } | null;
  /** Source. */
  readonly docs: string;
}

/** All kinds of engines. */
export const engineKinds: Readonly<Record<EngineName, EngineKind>> = {
  vllm: {
    healthPath: '/health',
    metrics: {
      path: '/metrics',
      names: {
        waiting: ['vllm:num_requests_waiting'],
        running: ['vllm:num_requests_running'],
        // The second is its name before version 0.10.
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
  generic: { healthPath: '/v1/models', metrics: null, docs: 'docs/guides/self-hosted-engines.md' },
};

/** How an engine is probed. */
export interface ProbeSettings {
  /** Between two probes, ms. */
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** Consecutive failures after which the engine is down. */
  readonly failuresMax: number;
}

/** Used where the configuration doesn't set them. */
export const defaultProbe: ProbeSettings = { intervalMs: 2000, timeoutMs: 1000, failuresMax: 2 };
