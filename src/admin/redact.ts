/** A configuration without its secrets, as the dashboard shows it. */

const hidden = '(hidden)';
/** Settings whose value is a secret, or may contain one. */
const secretName = /(key|keys|token|secret|password|passphrase|sha256|credential)$/i;
/** Settings below which every text may be a secret. */
const secretSection = /^(headers|credentials|webhook)$/i;
/** Settings that are named like secrets and aren't. */
const harmless = /^(keys|maxTokens|publicKey)$/;

/** A copy of any value of a configuration with its secrets replaced. Structure, names and numbers stay. */
export function withoutSecrets(value: unknown, name = '', within = false): unknown {
  const secret = within || (secretName.test(name) && !harmless.test(name)) || secretSection.test(name);
  if (typeof value === 'string') return secret ? hidden : withoutUserInfo(value);
  if (Array.isArray(value)) return value.map((each) => withoutSecrets(each, name, within || secret));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => [key, withoutSecrets(each, key, within || secret)]),
  );
}

/** A URL without user, password and query; any other text as it is. */
function withoutUserInfo(text: string): string {
  if (!/^[a-z][a-z+.-]*:\/\//i.test(text) || !URL.canParse(text)) return text;
  const url = new URL(text);
  if (url.username === '' && url.password === '' && url.search === '') return text;
  url.username = '';
  url.password = '';
  url.search = '';
  return url.href;
}
