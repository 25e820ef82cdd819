/** What things in a configuration may be called. */
import { z } from 'zod';

/** A name: it appears in headers, logs and metrics. */
export const name = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$/, {
  error: 'must be 1–128 letters, digits or . _ : / -, and begin with a letter or digit',
});
