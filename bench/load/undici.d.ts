/** Types of undici's Client, imported by itself because the package's entry loads all of undici. Its API is public. */
declare module 'undici/lib/dispatcher/client.js' {
  import { Client } from 'undici';
  export default Client;
}
