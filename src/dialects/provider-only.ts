/** What a dialect that only providers speak says to clients: nothing, since there are none. */
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

/** The half of a dialect that its clients would need. */
export const withoutClients: Pick<Dialect, ClientSide> = {
  chatClient: null,
  requestIdHeader: 'x-request-id',
  passesBack: (header) => header === 'retry-after' || header === 'retry-after-ms',
  encode() {
    throw new Error('nothing of this dialect is passed through');
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
