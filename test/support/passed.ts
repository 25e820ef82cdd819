/** Requests that are only passed on to a provider. */
import type { DialectName } from '../../src/exchange/dialects.ts';
import type { Wire } from './replies.ts';
import type { ConfigInput } from './sidecar.ts';

/** A path that is only passed on. */
export const passedPath = ({ name }: Wire): string =>
  name === 'anthropic' ? '/v1/messages/batches' : name === 'responses' ? '/v1/responses/a' : '/v1/batches';

/** Settings under which it is passed on, to nobody, for callers with these keys. */
export const passing = (
  { name }: Wire,
  keys: NonNullable<ConfigInput['authenticate']>['keys'],
): ConfigInput => ({
  providers: {
    first: { dialect: name as DialectName, baseUrl: 'http://127.0.0.1:9/v1', passthrough: true },
  },
  authenticate: { keys },
});
