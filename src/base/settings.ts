/** Schemas that the settings of many rooms share: names, times, sizes, ports, secrets. */
import { z } from 'zod';

/** A name: it appears in headers, logs and metrics. */
export const name = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$/, {
  error: 'must be 1–128 letters, digits or . _ : / -, and begin with a letter or digit',
});

/** A model's name, or a prefix followed by *. */
export const modelPattern = z
  .string()
  .min(1)
  .max(256)
  .regex(/^[^*]*\*?$/, { error: 'may contain * only at its end' });

/** A time in whole milliseconds. */
export const ms = (min: number, max: number) => z.int().min(min).max(max);
/** A size in bytes, at least 1 KiB. */
export const bytes = (max: number) => z.int().min(1024).max(max);
/** A TCP port; 0: any free one. */
export const port = z.int().min(0).max(65_535);
/** A secret, or where it is read from. */
export const secret = z
  .string()
  .min(1)
  .meta({ description: 'A secret: `${ENV}` or `file:/path`.', fromFile: true });

/** Whether the user and the password of a URL can be decoded. */
export function isPercentEncoded({ username, password }: Pick<URL, 'username' | 'password'>): boolean {
  try {
    decodeURIComponent(username + password);
    return true;
  } catch {
    return false;
  }
}

/** The fault of a URL whose user or password isn't percent-encoded. It never quotes them. */
export const notPercentEncoded = 'has a user or password that is not percent-encoded: write %25 for %';
