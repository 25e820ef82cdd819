/** What may become of a value, by its kind. Apart from the settings, whose library isn't loaded beside requests. */
import type { PiiKind } from '../native/pii.ts';

/** What may become of a value. */
export const actionNames = ['tokenise', 'redact', 'mask', 'hash', 'block', 'report', 'off'] as const;
/** One of these actions. */
export type ActionName = (typeof actionNames)[number];

/** The action of a kind that isn't configured. */
export const usualAction = ({ secret: isSecret, on }: PiiKind): ActionName =>
  !on ? 'report' : isSecret ? 'redact' : 'tokenise';
