/** What a model refuses of a request, as data that comes with the destination. */
import { type Effort, efforts } from './chat.ts';

/** Fields that some models refuse. */
export type RefusedField =
  | 'temperature'
  | 'topP'
  | 'topK'
  | 'frequencyPenalty'
  | 'presencePenalty'
  | 'parallelToolCalls'
  | 'stop';

/** What one model refuses. Left out: it takes it, as far as is known. */
export interface Refuses {
  /** Fields that it never takes. */
  readonly always?: readonly RefusedField[];
  /** Fields that it doesn't take while it reasons. */
  readonly reasoning?: readonly RefusedField[];
  /** The efforts that it knows; none: it refuses the field. */
  readonly efforts?: readonly Effort[];
  /** The effort that saying nothing means; left out: none. */
  readonly unsaid?: Effort;
  /** It can't stop reasoning. */
  readonly reasonsAlways?: true;
  /** Tools in chat completions while it reasons. */
  readonly chatTools?: true;
  /** A choice that forces a call of a tool. */
  readonly forcedChoice?: true;
  /** Tools whose input is enforced. */
  readonly strictTools?: true;
  /** A conversation that ends with a turn of its own, to go on with. */
  readonly prefill?: true;
}

/** A model of which nothing is known to be refused. */
const nothing: Refuses = {};

/** What a destination's model refuses. */
export const refusesOf = ({ refuses }: { readonly refuses?: Refuses | undefined }): Refuses =>
  refuses ?? nothing;

/** The known effort that is nearest to the one asked for; null: the model refuses the field. */
export function nearestEffort(asked: Effort, { efforts: known }: Refuses): Effort | null {
  if (known === undefined || known.includes(asked)) return asked;
  // Not to reason is no low effort: only who asks for it gets it.
  const able = asked === 'none' ? known : known.filter((one) => one !== 'none');
  const distance = (one: Effort): number => Math.abs(efforts.indexOf(one) - efforts.indexOf(asked));
  return able.reduce<Effort | null>(
    (best, one) => (best === null || distance(one) < distance(best) ? one : best),
    null,
  );
}

/** Whether a model reasons if it is sent this effort; null: none is sent. */
export const reasonsWith = (effort: Effort | null, { unsaid = 'none', reasonsAlways }: Refuses): boolean =>
  reasonsAlways === true || (effort ?? unsaid) !== 'none';
