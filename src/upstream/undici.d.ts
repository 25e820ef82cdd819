/** Types of the one part of undici that is used; `provider.ts` says why it is imported alone. */
declare module 'undici/lib/dispatcher/pool.js' {
  import { Pool } from 'undici';
  export default Pool;
}
