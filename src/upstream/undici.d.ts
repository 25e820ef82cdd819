/** Types of the one part of undici that is used; `provider.ts` says why it is imported alone. */
declare module 'undici/lib/dispatcher/pool.js' {
  import { Pool } from 'undici';
  export default Pool;
}

declare module 'undici/lib/core/connect.js' {
  import { buildConnector } from 'undici';
  export default buildConnector;
}

declare module 'undici/lib/core/symbols.js' {
  const symbols: { readonly kParser: symbol; readonly kSocket: symbol };
  export default symbols;
}
