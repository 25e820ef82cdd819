/** The client side of dialects that only providers speak: empty, since there are no such clients. */
import type { Dialect } from './dialect.ts';

type ClientSide =
  | 'chatClient'
  | 'requestIdHeader'
  | 'passesBack'
  | 'encode'
  | 'streamEnd'
  | 'lengthEnd'
  | 'errorBody'
  | 'errorEvent'
  | 'restartEvent'
  | 'textSlots'
  | 'endedChannels'
  | 'carrierOf'
  | 'models'
  | 'model';

const none = Buffer.alloc(0);

/** The members of a dialect that only its clients would use. */
export const withoutClients: Pick<Dialect, ClientSide> = {
  chatClient: null,
  requestIdHeader: 'x-request-id',
  passesBack: (header) => header === 'retry-after' || header === 'retry-after-ms',
  encode() {
    throw new Error('no client speaks this dialect');
  },
  streamEnd: none,
  lengthEnd: null,
  errorBody: () => none,
  errorEvent: () => none,
  restartEvent: () => none,
  textSlots: () => [],
  endedChannels: () => [],
  carrierOf: (event) => event,
  models: () => none,
  model: () => none,
};
