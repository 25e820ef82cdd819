/** Types of the parts of undici that are used; `by-undici.ts` says why they are imported one by one. */
declare module 'undici/lib/dispatcher/pool.js' {
  import { Pool } from 'undici';
  export default Pool;
}

declare module 'undici/lib/dispatcher/client.js' {
  import { Client } from 'undici';
  export default Client;
}

declare module 'undici/lib/core/symbols.js' {
  const symbols: {
    readonly kHTTPContext: symbol;
    readonly kHTTP2Session: symbol;
    readonly kParser: symbol;
    readonly kSocket: symbol;
  };
  export default symbols;
}
