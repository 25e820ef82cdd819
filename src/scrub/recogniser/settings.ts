/** Settings of the recogniser of names. */
import { z } from 'zod';
import { bytes, ms } from '../../base/settings.ts';
import { piiKinds } from '../../native/pii.ts';

const kinds = piiKinds.map(({ name }) => name) as [string, ...string[]];

/** Presidio's entities that are asked for unless the configuration says otherwise, and their kinds. */
export const usualEntities = { PERSON: 'person', LOCATION: 'location', ORGANIZATION: 'organisation' };

/** An external recogniser. */
export const recogniser = z.strictObject({
  url: z.string().max(2000).meta({
    description:
      'Base URL of a Presidio analyzer, such as `http://127.0.0.1:5002`; `/analyze` is added. The texts of requests are sent there.',
  }),
  language: z
    .string()
    .regex(/^[A-Za-z]{2,3}(?:-[A-Za-z0-9]{1,8})?$/, { error: 'must be a language such as `en`' })
    .default('en')
    .meta({ description: 'Language of the texts, one that the analyzer is set up for.' }),
  entities: z
    .record(
      z.string().regex(/^[A-Z][A-Z0-9_]{0,63}$/, { error: "must be one of Presidio's, as PERSON" }),
      z.enum(kinds),
    )
    .default(usualEntities)
    .meta({ description: "Presidio's entities to look for, and the kind that each is." }),
  scoreMin: z
    .number()
    .min(0)
    .max(1)
    .default(0.5)
    .meta({ description: 'Findings with a lower score are left out.' }),
  timeoutMs: ms(1, 30_000).default(500).meta({
    description: 'How long a request waits for the recogniser, all its texts together.',
  }),
  concurrency: z.int().min(1).max(256).default(4).meta({ description: 'Calls at once; others wait.' }),
  textMaxBytes: bytes(16 * 1024 * 1024)
    .default(65_536)
    .meta({ description: "Text of one request that may be sent; what was checked lately doesn't count." }),
  onFailure: z.enum(['refuse', 'pass']).default('refuse').meta({
    description:
      '`refuse`: a request whose texts could not be checked is refused; `pass`: it goes on, and names leave as they are.',
  }),
});

/** Its settings, checked. */
export type RecogniserSettings = z.output<typeof recogniser>;
