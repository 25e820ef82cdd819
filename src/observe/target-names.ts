/** Which targets metrics name: those configured, and of the models of patterns, which apps make up, so many. */

/** Most models of patterns that metrics name. */
const modelsMax = 100;

/** Name of all others. */
const others = 'other';

/** The names of targets in metrics. */
export interface TargetNames {
  /**
   * A call to this target has ended: it gets a name of its own, unless the provider refused the request.
   * @param made only a request names it
   */
  called(label: string, outcome: string, made: boolean): string;
  /** A reply of this target is charged or was stored, perhaps by another process: it gets a name of its own. */
  served(label: string): string;
  /** A target's name. */
  of(label: string): string;
}

/** No target has been called yet. @param isConfigured whether the configuration names a target */
export function createTargetNames(isConfigured: (label: string) => boolean): TargetNames {
  const named = new Set(['']);
  let models = 0;
  const of = (label: string): string => {
    if (named.has(label)) return label;
    if (!isConfigured(label)) return others;
    named.add(label);
    return label;
  };
  return {
    called(label, outcome, made) {
      if (named.has(label)) return label;
      // A model that the provider doesn't know is a 4xx.
      if (made && (models === modelsMax || outcome.startsWith('4'))) return others;
      if (made) models += 1;
      named.add(label);
      return label;
    },
    served(label) {
      if (of(label) === label) return label;
      if (models === modelsMax) return others;
      models += 1;
      named.add(label);
      return label;
    },
    of,
  };
}
