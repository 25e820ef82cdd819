/** What things in a configuration may be called. */
import { z } from 'zod';

/** A name: it appears in headers, logs and metrics. */
export const name = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$/, {
  error: 'must be 1–128 letters, digits or . _ : / -, and begin with a letter or digit',
});

/** A model's name, or the beginning of one before a *. */
export const modelPattern = z
  .string()
  .min(1)
  .max(256)
  .regex(/^[^*]*\*?$/, { error: 'may hold * only at its end' });
