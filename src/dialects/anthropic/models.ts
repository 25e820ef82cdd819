/** Differences between Claude models. https://platform.claude.com/docs/en/about-claude/models/migration-guide */

/** 405 for Claude 4.5, in either order of its name; 0: not a Claude model. Names without a number mean the newest. */
function generation(model: string): number {
  const found = /claude-(?:[a-z]+-)?(\d{1,2})(?!\d)(?:[-.](\d{1,2})(?!\d))?/.exec(model);
  if (found === null) return /claude-[a-z]/.test(model) ? 9999 : 0;
  return Number(found[1]) * 100 + Number(found[2] ?? 0);
}

/** From Claude 4.6 on, the model decides how much it thinks, guided by an effort; earlier ones need a token budget. */
export const isAdaptive = (model: string): boolean => generation(model) >= 406;

/** From Claude 4.7 on, thinking isn't shown unless it is asked for. */
export const omitsThinking = (model: string): boolean => generation(model) >= 407;

/** Whether temperature and top_p may both be set; since Claude 4, only one of them. */
export const takesBoth = (model: string): boolean => Math.floor(generation(model) / 100) === 3;
