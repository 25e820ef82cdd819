/**
 * Reads a catalog file: the same entries as `catalog.models`, with the same checks, and faults located in
 * that file.
 */

import type { CatalogModelConfig } from '../catalog/settings.ts';
import { catalogFileSchema } from '../catalog/settings.ts';
import { readConfigText } from './document.ts';
import { type Finding, type Placed, pathText } from './faults.ts';
import { describeIssues, type Show, valueAt } from './issues.ts';

/** The content of a catalog file. Variables in it are not filled in. */
export interface CatalogText {
  /** Empty if there are faults. */
  readonly models: readonly CatalogModelConfig[];
  readonly findings: readonly Finding[];
  readonly locate: Placed;
}

/** Reads the text of a catalog file. Never throws. */
export function readCatalogText(text: string, show: Show): CatalogText {
  const { value, findings, locate } = readConfigText(text, (each) => each);
  if (value === undefined) return { models: [], findings, locate };
  if (value === null) {
    const message = 'the file is empty: it needs `models`, a list that may be empty';
    return { models: [], findings: [...findings, { path: [], at: 'value', message }], locate };
  }
  const parsed = catalogFileSchema.safeParse(value);
  if (parsed.success && findings.length === 0) return { models: parsed.data.models, findings, locate };
  const known = new Set(findings.map(({ path }) => pathText(path)));
  const issues = describeIssues(parsed.error?.issues ?? [], value, show, catalogFileSchema);
  const more = issues.filter(({ path }) => path.length === 0 || !known.has(pathText(path)));
  return { models: [], findings: [...findings, ...more], locate };
}

/** The path of the catalog file as written in the configuration; null: none. */
export function catalogPath(root: unknown): string | null {
  const path = valueAt(root, ['catalog', 'file']);
  return typeof path === 'string' && path !== '' ? path : null;
}
