/** Fills in `${NAME}` from the environment, in single text values, so that no secret can inject YAML. */

/** The text with its variables filled in, or its fault; `unset`: nothing is wrong but variables that aren't set. */
export type Interpolated = { ok: true; text: string } | { ok: false; message: string; unset: boolean };

/** `$${`, `${NAME}`, `${NAME:-default}`, or a malformed `${`. */
const reference = /\$\$\{|\$\{(?:([A-Za-z_]\w*)(?::-([^}]*))?\})?/g;

/**
 * Fills in `${NAME}` and `${NAME:-default}`; the default applies if the variable is unset or empty. `$${` is an escaped
 * `${`. An unset variable without a default is an error that names it.
 */
export function interpolate(text: string, env: Readonly<Record<string, string | undefined>>): Interpolated {
  const faults: string[] = [];
  let unset = true;
  const filled = text.replace(reference, (whole, name?: string, fallback?: string) => {
    if (whole === '$${') return '${';
    if (name === undefined) {
      unset = false;
      faults.push('"${" must be followed by NAME} or NAME:-default}; write "$${" for a literal "${"');
      return '';
    }
    // The environment may be a plain object, which inherits names such as `constructor`.
    const value = Object.hasOwn(env, name) ? env[name] : undefined;
    if (fallback !== undefined) return value === undefined || value === '' ? fallback : value;
    if (value === undefined) faults.push(`the environment variable ${name} is not set`);
    return value ?? '';
  });
  const first = faults[0];
  return first === undefined
    ? { ok: true, text: filled }
    : { ok: false, message: [...new Set(faults)].join('; '), unset };
}
