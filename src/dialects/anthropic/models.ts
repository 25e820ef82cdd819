/** What differs between Claude's models. https://platform.claude.com/docs/en/about-claude/models/migration-guide */
import type { Effort } from '../chat.ts';

/** 405 for Claude 4.5, by either order of its name; 0: it is none of Claude's. Names without a number are today's. */
function generation(model: string): number {
  const found = /claude-(?:[a-z]+-)?(\d{1,2})(?!\d)(?:[-.](\d{1,2})(?!\d))?/.exec(model);
  if (found === null) return /claude-[a-z]/.test(model) ? 9999 : 0;
  return Number(found[1]) * 100 + Number(found[2] ?? 0);
}

/** From Claude 4.6 on the model itself decides how much it thinks, guided by an effort; before, it takes a budget. */
export const isAdaptive = (model: string): boolean => generation(model) >= 406;

/** From Claude 4.7 on every word about sampling is refused. */
export const takesSampling = (model: string): boolean => generation(model) < 407;

/** Since Claude 4 only one of temperature and top_p is taken. */
export const takesBoth = (model: string): boolean => Math.floor(generation(model) / 100) === 3;

/** Efforts as a model knows them: the one between high and most came with Claude 4.7. */
export function effortFor(effort: Effort | null, model: string): Effort | null {
  if (effort === 'minimal') return 'low';
  return effort === 'xhigh' && generation(model) < 407 ? 'high' : effort;
}
