/** Types of the one part of undici that is used; see `connection.ts` for why it is imported alone. */
declare module 'undici/lib/dispatcher/pool.js' {
  import { Pool } from 'undici';
  export default Pool;
}
