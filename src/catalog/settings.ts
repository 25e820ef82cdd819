/** Settings of the catalog: configured prices and facts of models. */

import { z } from 'zod';
import { modelPattern } from '../base/settings.ts';
import { capabilities } from './facts.ts';

/** Bounded, since a model name that is new to the process is compared with each of them. */
const catalogModelsMax = 2000;

const usdPerMTok = z.number().min(0).max(1e6);

const catalogTokens = z.int().min(1).max(1e9);

const catalogModel = z.strictObject({
  provider: z
    .string()
    .min(1)
    .default('*')
    .meta({ description: 'A name of `providers`; * means all of them.' }),
  model: modelPattern.meta({
    description:
      "The provider's model name; a trailing * matches the rest. The first entry that matches counts.",
  }),
  inputUsdPerMTok: usdPerMTok
    .optional()
    .meta({ description: 'Dollars per million prompt tokens; 0 for a free model.' }),
  outputUsdPerMTok: usdPerMTok.optional().meta({ description: 'Likewise for reply tokens.' }),
  cachedInputUsdPerMTok: usdPerMTok
    .optional()
    .meta({ description: "Likewise for prompt tokens read from the provider's cache." }),
  cacheWriteUsdPerMTok: usdPerMTok
    .optional()
    .meta({ description: "Likewise for prompt tokens written to the provider's cache." }),
  usdPerSearchUnit: z
    .number()
    .min(0)
    .max(1000)
    .optional()
    .meta({ description: 'Dollars per search unit, by which Cohere bills reranks.' }),
  contextTokens: catalogTokens.optional().meta({ description: 'Tokens of prompt and reply together.' }),
  outputMaxTokens: catalogTokens.optional().meta({ description: 'Longest reply of the model.' }),
  capabilities: z
    .array(z.enum(capabilities))
    .optional()
    .meta({ description: `What the model can do: any of ${capabilities.join(', ')}.` }),
});

/** A catalog file: the same entries in a separate file. */
export const catalogFileSchema = z.strictObject({ models: z.array(catalogModel).max(catalogModelsMax) });

/** The catalog. */
export const catalog = z
  .strictObject({
    file: z.string().min(1).optional().meta({
      description:
        'YAML file with more `models`, which come after these; read again when it changes. While it has faults, what it had before applies.',
    }),
    models: z
      .array(catalogModel)
      .max(catalogModelsMax)
      .default([])
      .meta({ description: 'Your own prices and facts of models; they override the built-in ones.' }),
  })
  .prefault({});

/** One entry of the catalog, validated. */
export type CatalogModelConfig = z.output<typeof catalogModel>;
