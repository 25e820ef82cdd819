/** Settings of stage scrub: what happens to each kind of personal data that the native core knows. */
import { z } from 'zod';
import { type PiiKind, piiKinds } from '../native/pii.ts';

const scrubMode = z.enum(['mask', 'block', 'off']);

const setting = ({ several, on }: PiiKind) =>
  scrubMode
    .default(on ? 'mask' : 'off')
    .meta({ description: `${several}: masked and restored, refused, or let through.` });

/** Schema of stage scrub's settings. */
export const scrub = z
  .strictObject(Object.fromEntries(piiKinds.map((kind) => [kind.name, setting(kind)])))
  .prefault({});

/** Settings of personal data, checked: by the kind's name. */
export type ScrubSettings = z.output<typeof scrub>;
