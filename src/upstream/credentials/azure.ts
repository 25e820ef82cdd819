/**
 * Microsoft Entra ID tokens for Azure OpenAI, from the environment that the platform sets, in the order of Azure's
 * libraries: a client secret, a workload identity (AKS), or a managed identity (App Service, virtual machines).
 * https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow
 */
import { readFile } from 'node:fs/promises';
import type { ClientAuth } from 'oauth4webapi';
import { isLoopback } from '../../base/node-http.ts';
import type { Token } from './keeper.ts';

/** Only the start of the process waits for this. */
const timeoutMs = 5_000;

/** What to check when no token is obtained. */
export const advice =
  'check AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_FEDERATED_TOKEN_FILE or AZURE_CLIENT_SECRET, or the managed identity';

/** Whose token it is to be: each of Azure's clouds has its own service, which the others' logins don't know. */
export function resourceOf(baseUrl: string): string {
  const { AZURE_AUTHORITY_HOST: authority = '' } = process.env;
  const [, named] = /^https?:\/\/[^/:?]+\.azure(?:-api)?\.(com|us|cn)(?![^/:?])/.exec(baseUrl) ?? [];
  const [, login = 'com'] = /^https:\/\/login\.[^/:]+\.(us|cn)(?![^/:])/.exec(authority) ?? [];
  return `https://cognitiveservices.azure.${named ?? login}`;
}

/** Requests a token with the credentials the machine has now. Rejects when there is none. */
export function fetchToken(resource: string): Promise<Token> {
  const { env } = process;
  const { AZURE_TENANT_ID: tenant, AZURE_CLIENT_ID: client } = env;
  const { AZURE_CLIENT_SECRET: secret, AZURE_FEDERATED_TOKEN_FILE: file } = env;
  if (tenant && client && secret)
    return grant(tenant, client, resource, (_as, _client, body) => {
      body.set('client_secret', secret);
      body.set('client_id', client);
    });
  if (tenant && client && file) return grant(tenant, client, resource, assertion(client, file));
  return askMachine(env, resource);
}

/** A client assertion read from a file; each time, since the platform renews the file. */
const assertion =
  (client: string, file: string): ClientAuth =>
  async (_as, _client, body) => {
    body.set('client_id', client);
    body.set('client_assertion_type', 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer');
    body.set('client_assertion', (await readFile(file, 'utf8')).trim());
  };

/** Requests a token by a client credentials grant. Its library is loaded only here. */
async function grant(tenant: string, client: string, resource: string, auth: ClientAuth): Promise<Token> {
  const oauth = await import('oauth4webapi');
  const authority = process.env.AZURE_AUTHORITY_HOST || 'https://login.microsoftonline.com';
  const issuer = new URL(encodeURIComponent(tenant), authority.replace(/\/*$/, '/')).href;
  const server = { issuer, token_endpoint: `${issuer}/oauth2/v2.0/token` };
  const response = await oauth.clientCredentialsGrantRequest(
    server,
    { client_id: client },
    auth,
    { scope: `${resource}/.default` },
    {
      signal: AbortSignal.timeout(timeoutMs),
      [oauth.allowInsecureRequests]: isLoopback(new URL(issuer).hostname),
    },
  );
  const granted = await oauth.processClientCredentialsResponse(server, { client_id: client }, response);
  return { value: granted.access_token, expiresMs: Date.now() + (granted.expires_in ?? 0) * 1000 };
}

/** Token of a managed identity: from the endpoint that App Service or Container Apps set, else the virtual machine's. */
async function askMachine(env: NodeJS.ProcessEnv, resource: string): Promise<Token> {
  const { IDENTITY_ENDPOINT: endpoint, IDENTITY_HEADER: header = '' } = env;
  const host = env.AZURE_POD_IDENTITY_AUTHORITY_HOST || 'http://169.254.169.254';
  const url = new URL(endpoint || '/metadata/identity/oauth2/token', host);
  url.searchParams.set('api-version', endpoint ? '2019-08-01' : '2018-02-01');
  url.searchParams.set('resource', resource);
  if (env.AZURE_CLIENT_ID) url.searchParams.set('client_id', env.AZURE_CLIENT_ID);
  const headers: Record<string, string> = endpoint ? { 'x-identity-header': header } : { metadata: 'true' };
  const signal = AbortSignal.timeout(timeoutMs);
  const response = await fetch(url, { headers, signal, redirect: 'error' });
  const given: unknown = response.ok ? await response.json() : {};
  const { access_token: value, expires_on: end } = given as Record<string, unknown>;
  const expiresMs = Number(end) * 1000;
  if (typeof value !== 'string' || value === '' || !(expiresMs > 0))
    throw new Error('the managed identity gave no access token');
  return { value, expiresMs };
}
