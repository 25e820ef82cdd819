/** The metrics of questions in other words. */
import type Registry from 'prom-client/lib/registry.js';
import { type EmbedResult, embedResults, type QuestionEvent, questionEvents } from '../base/telemetry.ts';
import { createTally } from './tally.ts';

/** What is counted about them. */
export interface CacheMetrics {
  /** The cache answered a question in other words, or judged an answer. */
  cacheQuestion(event: QuestionEvent): void;
  /** A provider was asked for the vector of a question, or should have been. */
  cacheEmbedding(result: EmbedResult): void;
}

/** Counts them in a registry. */
export function createCacheMetrics(registry: Registry): CacheMetrics {
  const questions = createTally(
    registry,
    'sidegate_cache_questions_total',
    'Questions answered from the cache though worded otherwise, those that went upstream to be judged, and judgements.',
    ['event'],
  );
  const embeddings = createTally(
    registry,
    'sidegate_cache_embeddings_total',
    "Vectors that the cache's embedder was asked for, by what came of it.",
    ['result'],
  );
  // Series must exist from the start to be usable in alerts.
  for (const event of questionEvents) questions.add(0, event);
  for (const result of embedResults) embeddings.add(0, result);
  return {
    cacheQuestion: (event) => questions.add(1, event),
    cacheEmbedding: (result) => embeddings.add(1, result),
  };
}
