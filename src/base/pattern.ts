/** Names with a trailing `*`, by which models and routes are chosen. */

/** Whether a name is the pattern's, or begins as it does before its trailing `*`. */
export const matchesPattern = (pattern: string, name: string): boolean =>
  pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
