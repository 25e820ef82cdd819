/** Settings of the cache. */

import { z } from 'zod';
import { bytes, modelPattern, ms, name, secret } from '../base/settings.ts';
import { dimensionsMax } from '../native/search.ts';

/** What similar questions may be answered by. */
export const semanticModes = ['off', 'shadow', 'auto', 'on'] as const;

/** One of these. */
export type SemanticMode = (typeof semanticModes)[number];

const mode = z.enum(semanticModes);

/** What differs for one tenant or route. */
const differing = z.strictObject({
  enabled: z.boolean().optional().meta({ description: 'As `cache.enabled`.' }),
  semantic: mode.optional().meta({ description: 'As `cache.semantic.mode`.' }),
});

const embedder = z.strictObject({
  provider: name.meta({
    description: 'Provider that is asked, of a dialect with embeddings: `openai`, `gemini` or `cohere`.',
  }),
  model: z.string().min(1).max(256).meta({ description: 'Its model.' }),
  dimensions: z
    .int()
    .min(1)
    .max(dimensionsMax)
    .meta({ description: "Numbers in each of the model's vectors." }),
  shorten: z.boolean().default(false).meta({
    description: 'Ask for vectors of so many numbers, of a model that can make shorter ones.',
  }),
  version: z.string().max(128).default('').meta({
    description:
      'Change it when another model gets the same name: its vectors never meet those of the one before.',
  }),
  timeoutMs: ms(1, 10_000).default(100).meta({
    description: 'Most time for a vector; a question without one goes to the provider.',
  }),
  callsMax: z.int().min(1).max(1000).default(16).meta({
    description: 'Most calls at once. Four times as many wait for their turn; the rest go without.',
  }),
});

/** Settings of an embedder beyond this process, checked. */
export type EmbedderSettings = z.output<typeof embedder>;

const semantic = z
  .strictObject({
    mode: mode.default('auto').meta({
      description:
        "Answer questions that are worded otherwise and ask the same: `off`; `shadow`: never, only judge what would have been answered; `auto`: where judged answers prove it right; `on`: everywhere. In every mode, what differs only in spaces, courtesy at its beginning and end, or closing punctuation is answered where these can't change what is asked: where the question is all of the prompt.",
    }),
    wrongMax: z.number().min(0.0001).max(0.5).default(0.01).meta({
      description:
        'For `auto`: largest share of wrong answers. The upper 95% bound of those judged must be within it.',
    }),
    sampleShare: z.number().min(0.001).max(1).default(0.05).meta({
      description: 'For `auto`: share of hits that still go to the provider, so that they can be judged.',
    }),
    watchPerSecond: z.int().min(1).max(1_000_000).default(50).meta({
      description:
        'Most questions a second that are looked for where nothing would be answered, only judged. Each takes about 0.3 ms of CPU time, or a vector of the `embedder`; of more questions a part is looked for.',
    }),
    threshold: z.number().min(0.5).max(1).optional().meta({
      description:
        'Least cosine of two questions, instead of the built-in decision. Even 0.97 answers some questions wrongly.',
    }),
    verifier: z.boolean().default(false).meta({
      description:
        'Take a closer look, by a cross-encoder, at questions that the built-in decision is unsure of: more are found. It takes 14 MB of memory, and milliseconds for each such request.',
    }),
    verifierTimeoutMs: z.int().min(1).max(1000).default(15).meta({
      description: 'Most time for the closer look; what takes longer goes to the provider.',
    }),
    sampled: z.boolean().default(false).meta({
      description: 'Also for requests that state a temperature above 0, which ask for varied answers.',
    }),
    embedder: embedder.optional().meta({
      description:
        'Finds similar questions by the vectors of a provider, which is sent their text; unset: by those of the process itself.',
    }),
    bytesMax: bytes(4 * 1024 ** 3)
      .default(16 * 1024 * 1024)
      .meta({ description: 'Most memory for questions and their vectors.' }),
  })
  .prefault({});

/** Schema of the cache's settings. */
export const cache = z
  .strictObject({
    enabled: z.boolean().default(true).meta({ description: 'Answer identical requests from memory.' }),
    ttlSeconds: z
      .int()
      .min(1)
      .max(2_592_000)
      .default(3600)
      .meta({ description: 'Time until an entry expires.' }),
    entriesMax: z.int().min(1).max(10_000_000).default(10_000).meta({ description: 'Most entries kept.' }),
    bytesMax: bytes(16 * 1024 ** 3)
      .default(64 * 1024 * 1024)
      .meta({
        description:
          'Most memory for the entries, and for streams that `singleFlight` shares. Other streams on their way there may take a quarter of it besides, and questions `semantic.bytesMax`.',
      }),
    entryMaxBytes: bytes(64 * 1024 * 1024)
      .default(1024 * 1024)
      .meta({ description: 'Largest reply that is stored.' }),
    singleFlight: z
      .boolean()
      .default(false)
      .meta({ description: 'Let identical requests that come at once share one upstream call.' }),
    shareUsers: z
      .boolean()
      .default(false)
      .meta({ description: 'Share entries between the users of a tenant.' }),
    secret: secret.min(16, { error: 'must have at least 16 characters' }).optional().meta({
      description:
        'Seals what pods tell each other of their caches over `sync.redis`: `${ENV}` or `file:/path`. Unset: each pod has its own cache.',
    }),
    snapshot: z.string().min(1).optional().meta({
      description:
        'File that keeps the cache while no process runs; unset: a restart begins with an empty one.',
      restart: true,
    }),
    semantic,
    tenants: z
      .record(name, differing)
      .default({})
      .meta({ description: 'What differs for some tenants, by name.' }),
    routes: z.record(modelPattern, differing).default({}).meta({
      description:
        "What differs on some routes, by the route's `model`. Where a tenant's differs too, the more cautious one counts.",
    }),
  })
  .prefault({});

/** The cache's settings, checked. */
export type CacheSettings = z.output<typeof cache>;
