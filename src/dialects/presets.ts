/** Known providers, one row each. To add a provider of an existing dialect, add a row here. */
import type { DialectName } from '../exchange/dialects.ts';
import {
  azure,
  bearer,
  cerebras,
  deepseek,
  groq,
  mistral,
  moonshot,
  noStreamOptions,
  openrouter,
  quirksOfEngine,
  reasoningBack,
} from './quirks.ts';
import type { Quirks } from './wire.ts';

/** Defaults for a provider in the configuration. */
export interface Preset {
  readonly dialect: DialectName;
  /**
   * The URL before `/chat/completions` or `/messages`; null: the embedded simulator. A word in capitals is a
   * placeholder for a value that only the user knows, so the configuration must set the URL (`isPattern`).
   */
  readonly baseUrl: string | null;
  /** Environment variable that usually holds the credential; null: needs none. */
  readonly credentialEnv: string | null;
  /** Models that the demo routes to this provider if its credential is in the environment; no two presets overlap. */
  readonly models: readonly string[];
  /**
   * Table in src/catalog/prices/ with its models; null: no prices are known. The tables `huggingface_…` contain what
   * Hugging Face bills for a provider, which equals the provider's own prices.
   */
  readonly prices: string | null;
  readonly quirks: Quirks;
  /** The provider's documentation page from which the row was taken. */
  readonly docs: string;
  /** The row was taken from third parties that quote that page, not from the page itself. */
  readonly quoted: boolean;
}

type Options = Partial<Pick<Preset, 'models' | 'prices' | 'quirks' | 'quoted'>>;

const hosted =
  (dialect: DialectName) =>
  (baseUrl: string, credentialEnv: string | null, docs: string, options: Options = {}): Preset => ({
    dialect,
    baseUrl,
    credentialEnv,
    models: [],
    prices: null,
    quirks: {},
    quoted: false,
    ...options,
    docs,
  });
const openai = hosted('openai');
const responses = hosted('responses');
const anthropic = hosted('anthropic');
const gemini = hosted('gemini');
const cohere = hosted('cohere');
const replicate = hosted('replicate');

/** A server on the same machine, at the default port of its documentation. */
const local = (port: number, docs: string, quoted = false, quirks: Quirks = {}): Preset => ({
  dialect: 'openai',
  baseUrl: `http://127.0.0.1:${port}/v1`,
  credentialEnv: null,
  models: [],
  prices: null,
  quirks,
  docs,
  quoted,
});

const simulator = (dialect: DialectName): Preset => ({
  dialect,
  baseUrl: null,
  credentialEnv: null,
  models: [],
  prices: null,
  quirks: {},
  docs: 'docs/guides/simulator.md',
  quoted: false,
});

/** Every preset by its name in the configuration. */
export const presets: Readonly<Record<string, Preset>> = {
  openai: openai(
    'https://api.openai.com/v1',
    'OPENAI_API_KEY',
    'https://platform.openai.com/docs/api-reference',
    { prices: 'openai', models: ['gpt-*', 'o1*', 'o3*', 'o4*', 'chatgpt-*', 'text-embedding-*'] },
  ),
  'openai-responses': responses(
    'https://api.openai.com/v1',
    'OPENAI_API_KEY',
    'https://platform.openai.com/docs/api-reference/responses',
    { prices: 'openai' },
  ),
  azure: openai(
    'https://RESOURCE.openai.azure.com/openai/v1',
    'AZURE_OPENAI_API_KEY',
    'https://learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle',
    { prices: 'azure', quirks: azure },
  ),
  'azure-responses': responses(
    'https://RESOURCE.openai.azure.com/openai/v1',
    'AZURE_OPENAI_API_KEY',
    'https://learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle',
    { prices: 'azure', quirks: azure },
  ),
  'azure-deployments': openai(
    'https://RESOURCE.openai.azure.com/openai',
    'AZURE_OPENAI_API_KEY',
    'https://learn.microsoft.com/en-us/azure/ai-services/openai/reference',
    { prices: 'azure', quirks: { ...azure, deployments: true } },
  ),
  anthropic: anthropic(
    'https://api.anthropic.com/v1',
    'ANTHROPIC_API_KEY',
    'https://docs.anthropic.com/en/api/messages',
    { prices: 'anthropic', models: ['claude-*'] },
  ),
  gemini: gemini(
    'https://generativelanguage.googleapis.com/v1beta',
    'GEMINI_API_KEY',
    'https://ai.google.dev/api/generate-content',
    { prices: 'google', models: ['gemini-*', 'gemma-*'] },
  ),
  // With a project: https://LOCATION-aiplatform.googleapis.com/v1/projects/PROJECT/locations/LOCATION/publishers/google
  vertex: gemini(
    'https://aiplatform.googleapis.com/v1/publishers/google',
    null,
    'https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference',
    { prices: 'google' },
  ),
  'gemini-openai': openai(
    'https://generativelanguage.googleapis.com/v1beta/openai',
    'GEMINI_API_KEY',
    'https://ai.google.dev/gemini-api/docs/openai',
    { prices: 'google' },
  ),
  // Other regions are set by `region`; private endpoints by `baseUrl`.
  bedrock: hosted('bedrock')(
    'https://bedrock-runtime.us-east-1.amazonaws.com',
    'AWS_BEARER_TOKEN_BEDROCK',
    'https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html',
    { prices: 'aws' },
  ),
  mistral: openai(
    'https://api.mistral.ai/v1',
    'MISTRAL_API_KEY',
    'https://docs.mistral.ai/resources/migration-guides',
    {
      prices: 'mistral',
      models: ['mistral-*', 'ministral-*', 'codestral-*', 'devstral-*', 'magistral-*'],
      quirks: mistral,
    },
  ),
  deepseek: openai('https://api.deepseek.com', 'DEEPSEEK_API_KEY', 'https://api-docs.deepseek.com/', {
    prices: 'deepseek',
    models: ['deepseek-*'],
    quirks: deepseek,
  }),
  'deepseek-anthropic': anthropic(
    'https://api.deepseek.com/anthropic/v1',
    'DEEPSEEK_API_KEY',
    'https://api-docs.deepseek.com/guides/anthropic_api',
    { prices: 'deepseek' },
  ),
  xai: openai('https://api.x.ai/v1', 'XAI_API_KEY', 'https://docs.x.ai/docs/api-reference', {
    prices: 'x-ai',
    models: ['grok-*'],
    quoted: true,
  }),
  groq: openai('https://api.groq.com/openai/v1', 'GROQ_API_KEY', 'https://console.groq.com/docs/openai', {
    prices: 'groq',
    quirks: groq,
  }),
  together: openai(
    'https://api.together.ai/v1',
    'TOGETHER_API_KEY',
    'https://docs.together.ai/docs/inference/openai-compatibility',
    { prices: 'together' },
  ),
  fireworks: openai(
    'https://api.fireworks.ai/inference/v1',
    'FIREWORKS_API_KEY',
    'https://docs.fireworks.ai/tools-sdks/openai-compatibility',
    { prices: 'fireworks', quoted: true },
  ),
  'fireworks-anthropic': anthropic(
    'https://api.fireworks.ai/inference/v1',
    'FIREWORKS_API_KEY',
    'https://docs.fireworks.ai/tools-sdks/anthropic-compatibility',
    { prices: 'fireworks' },
  ),
  openrouter: openai(
    'https://openrouter.ai/api/v1',
    'OPENROUTER_API_KEY',
    'https://openrouter.ai/docs/api-reference/overview',
    { prices: 'openrouter', quirks: openrouter, quoted: true },
  ),
  perplexity: openai(
    'https://api.perplexity.ai',
    'PERPLEXITY_API_KEY',
    'https://docs.perplexity.ai/docs/sonar/openai-compatibility',
    { prices: 'perplexity', models: ['sonar*'] },
  ),
  cerebras: openai(
    'https://api.cerebras.ai/v1',
    'CEREBRAS_API_KEY',
    'https://inference-docs.cerebras.ai/resources/openai',
    { prices: 'cerebras', quirks: cerebras },
  ),
  nvidia: openai(
    'https://integrate.api.nvidia.com/v1',
    'NVIDIA_API_KEY',
    'https://docs.api.nvidia.com/nim/reference/llm-apis',
    { quoted: true },
  ),
  sambanova: openai(
    'https://api.sambanova.ai/v1',
    'SAMBANOVA_API_KEY',
    'https://docs.sambanova.ai/docs/en/get-started/api-keys-urls',
  ),
  deepinfra: openai(
    'https://api.deepinfra.com/v1/openai',
    'DEEPINFRA_API_KEY',
    'https://deepinfra.com/docs/advanced/openai_api',
  ),
  hyperbolic: openai(
    'https://api.hyperbolic.xyz/v1',
    'HYPERBOLIC_API_KEY',
    'https://docs.hyperbolic.xyz/docs/rest-api',
    { prices: 'huggingface_hyperbolic', quoted: true },
  ),
  novita: openai(
    'https://api.novita.ai/openai/v1',
    'NOVITA_API_KEY',
    'https://novita.ai/docs/guides/llm-api',
    { prices: 'novita', quoted: true },
  ),
  'novita-anthropic': anthropic(
    'https://api.novita.ai/anthropic/v1',
    'NOVITA_API_KEY',
    'https://novita.ai/docs/guides/llm-anthropic-compatibility',
    { prices: 'novita', quirks: bearer },
  ),
  nebius: openai(
    'https://api.tokenfactory.nebius.com/v1',
    'NEBIUS_API_KEY',
    'https://docs.tokenfactory.nebius.com/api-reference/introduction',
    { prices: 'huggingface_nebius' },
  ),
  moonshot: openai(
    'https://api.moonshot.ai/v1',
    'MOONSHOT_API_KEY',
    'https://platform.kimi.ai/docs/api/overview',
    { prices: 'moonshotai', models: ['kimi-*', 'moonshot-*'], quirks: moonshot, quoted: true },
  ),
  'moonshot-anthropic': anthropic(
    'https://api.moonshot.ai/anthropic/v1',
    'MOONSHOT_API_KEY',
    'https://platform.kimi.ai/docs/api/overview',
    { prices: 'moonshotai', quirks: bearer, quoted: true },
  ),
  zai: openai('https://api.z.ai/api/paas/v4', 'ZAI_API_KEY', 'https://docs.z.ai/api-reference/introduction', {
    prices: 'zai',
    quirks: reasoningBack,
    models: ['glm-*'],
  }),
  'zai-anthropic': anthropic(
    'https://api.z.ai/api/anthropic/v1',
    'ZAI_API_KEY',
    'https://docs.z.ai/scenario-example/develop-tools/claude',
    { prices: 'zai', quirks: bearer, quoted: true },
  ),
  zhipu: openai(
    'https://open.bigmodel.cn/api/paas/v4',
    'ZHIPUAI_API_KEY',
    'https://docs.bigmodel.cn/cn/api',
    { prices: 'zhipuai' },
  ),
  dashscope: openai(
    'https://dashscope-intl.aliyuncs.com/compatible-mode/v1',
    'DASHSCOPE_API_KEY',
    'https://www.alibabacloud.com/help/en/model-studio/compatibility-of-openai-with-dashscope',
    { models: ['qwen*', 'qwq*'], quirks: reasoningBack },
  ),
  minimax: openai(
    'https://api.minimax.io/v1',
    'MINIMAX_API_KEY',
    'https://platform.minimax.io/docs/api-reference/text-openai-api',
    { prices: 'minimax', models: ['MiniMax-*'], quirks: reasoningBack },
  ),
  'minimax-anthropic': anthropic(
    'https://api.minimax.io/anthropic/v1',
    'MINIMAX_API_KEY',
    'https://platform.minimax.io/docs/api-reference/text-anthropic-api',
    { prices: 'minimax', quirks: bearer },
  ),
  cohere: cohere('https://api.cohere.com/v2', 'COHERE_API_KEY', 'https://docs.cohere.com/v2/reference/chat', {
    prices: 'cohere',
    models: ['command-*', 'c4ai-*', 'rerank-*', 'embed-*'],
    quoted: true,
  }),
  'cohere-openai': openai(
    'https://api.cohere.ai/compatibility/v1',
    'COHERE_API_KEY',
    'https://docs.cohere.com/docs/compatibility-api',
    { prices: 'cohere', quirks: noStreamOptions },
  ),
  replicate: replicate(
    'https://api.replicate.com/v1',
    'REPLICATE_API_TOKEN',
    'https://replicate.com/docs/topics/predictions',
  ),
  ai21: openai(
    'https://api.ai21.com/studio/v1',
    'AI21_API_KEY',
    'https://docs.ai21.com/reference/jamba-1-6-api-ref',
    { models: ['jamba-*'], quoted: true },
  ),
  huggingface: openai(
    'https://router.huggingface.co/v1',
    'HF_TOKEN',
    'https://huggingface.co/docs/inference-providers/index',
    { quoted: true },
  ),
  'github-models': openai(
    'https://models.github.ai/inference',
    'GITHUB_MODELS_TOKEN',
    'https://docs.github.com/en/github-models/quickstart',
  ),
  'vercel-ai-gateway': openai(
    'https://ai-gateway.vercel.sh/v1',
    'AI_GATEWAY_API_KEY',
    'https://vercel.com/docs/ai-gateway/openai-compat',
    { quirks: openrouter },
  ),
  vllm: local(
    8000,
    'https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html',
    false,
    quirksOfEngine.vllm,
  ),
  sglang: local(30_000, 'https://docs.sglang.ai/basic_usage/openai_api.html', true, quirksOfEngine.sglang),
  tgi: local(3000, 'https://huggingface.co/docs/text-generation-inference/messages_api'),
  // Older releases listen on 8080.
  llamacpp: local(
    8080,
    'https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md',
    true,
    quirksOfEngine.llamacpp,
  ),
  ollama: local(11_434, 'https://ollama.com/blog/openai-compatibility'),
  lmstudio: local(1234, 'https://lmstudio.ai/docs/api/openai-api'),
  localai: local(8080, 'https://localai.io/docs/features/text-generation/', false, quirksOfEngine.vllm),
  litellm: local(4000, 'https://docs.litellm.ai/docs/proxy_server'),
  simulator: simulator('openai'),
  'simulator-anthropic': simulator('anthropic'),
  'simulator-gemini': simulator('gemini'),
  'simulator-bedrock': simulator('bedrock'),
  'simulator-responses': simulator('responses'),
  'simulator-cohere': simulator('cohere'),
  'simulator-replicate': simulator('replicate'),
};

/** Whether a preset's base URL is a pattern, so that the configuration must set the URL. */
export const isPattern = ({ baseUrl }: Preset): boolean => /\/\/[A-Z]/.test(baseUrl ?? '');
