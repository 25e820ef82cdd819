/** undici's Client by itself: the package's entry loads all of undici. The API is the public one. */
declare module 'undici/lib/dispatcher/client.js' {
  import { Client } from 'undici';
  export default Client;
}
