/** Settings of stage authenticate: virtual keys, and the issuers whose tokens are accepted. */
import { z } from 'zod';
import { modelPattern, name } from '../base/settings.ts';
import { endpointNames } from '../exchange/endpoint.ts';
import { keyLimitSchema } from '../exchange/key-limit.ts';
import { tagsMax } from './names.ts';

const models = z
  .array(modelPattern)
  .min(1)
  .optional()
  .meta({ description: 'Models the caller may use; a trailing * matches any ending. Unset: all.' });
const endpoints = z.array(z.enum(endpointNames)).min(1).optional().meta({
  description:
    'Endpoints it may use, by name; listing models is always allowed. Unset: all, `files` only if `models` is unset.',
});

/** Who the caller is, and what it may do. */
const grant = {
  tenant: name.meta({ description: 'Tenant that the calls are attributed to.' }),
  team: name.optional().meta({ description: 'Team, for attribution.' }),
  user: name.optional().meta({ description: 'User, for attribution; no header can change it.' }),
  userHeader: z.string().optional().meta({
    description:
      'Header that may name the user if `user` is unset; `none`: no header may. Unset: `x-sidegate-user`.',
  }),
  tags: z.array(name).max(tagsMax).default([]).meta({ description: 'Tags, for attribution.' }),
  models,
  endpoints,
  limits: z
    .array(keyLimitSchema)
    .max(64)
    .default([])
    .meta({ description: 'Limits of this key alone, in the form of `limits`.' }),
  expires: z.iso
    .datetime({ offset: true, error: 'must be a time such as 2027-01-31T00:00:00Z' })
    .optional()
    .meta({ description: 'When the key expires, such as `2027-01-31T00:00:00Z`. Unset: never.' }),
};

const id = name.meta({ description: 'Shown in logs instead of the key.' });

const keySchema = z.strictObject({
  id,
  sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/, { error: 'must be the SHA-256 of the key in 64 lowercase hex digits' })
    .meta({ description: 'SHA-256 of the key, hex: the output of `printf %s KEY | sha256sum`.' }),
  ...grant,
});

/** Schema of a key to be created: all of the above except the digest. */
export const newKeySchema = keySchema.omit({ sha256: true });

/**
 * Signature algorithms, all with public keys. Allowing no others keeps a public key from being used to forge
 * a token.
 */
const algorithms = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
] as const;

const claim = z.union([z.string().min(1).max(256), z.array(z.string().min(1).max(256)).min(1).max(8)]);

const issuer = z.strictObject({
  id: name.meta({ description: "Id of the issuer, shown in logs and metrics in place of a key's id." }),
  issuer: z.string().meta({ description: '`iss` of its tokens, compared exactly.' }),
  audience: z
    .array(z.string().min(1).max(256))
    .min(1)
    .max(16)
    .meta({ description: 'Audiences (`aud`) of which a token must name at least one.' }),
  jwksUrl: z.string().optional().meta({
    description: 'URL of its public keys; unset: the one in its `/.well-known/openid-configuration`.',
  }),
  algorithms: z
    .array(z.enum(algorithms))
    .min(1)
    .default(['RS256', 'PS256', 'ES256', 'EdDSA', 'Ed25519'])
    .meta({ description: 'Signature algorithms that are accepted; only those with public keys.' }),
  type: z
    .string()
    .min(1)
    .max(64)
    .optional()
    .meta({ description: '`typ` its tokens must have, such as `at+jwt`. Unset: any.' }),
  clockSkewSeconds: z
    .int()
    .min(0)
    .max(600)
    .default(30)
    .meta({ description: 'Difference allowed between its clock and ours.' }),
  refreshSeconds: z
    .int()
    .min(1)
    .max(86_400)
    .default(300)
    .meta({ description: 'Interval at which its public keys are fetched in the background.' }),
  cooldownMs: z
    .int()
    .min(100)
    .max(600_000)
    .default(1000)
    .meta({ description: 'Shortest time between two fetches, however many tokens name unknown keys.' }),
  waitMs: z
    .int()
    .min(0)
    .max(30_000)
    .default(3000)
    .meta({ description: 'Longest time that a token signed with an unknown key waits for a fetch.' }),
  tenant: name.optional().meta({ description: 'Tenant of all its tokens; unset: `claims.tenant` names it.' }),
  claims: z
    .strictObject({
      tenant: claim
        .optional()
        .meta({ description: 'Claim that names the tenant; a list is a path into nested claims.' }),
      team: claim.optional().meta({ description: 'Claim that names the team, if the token has it.' }),
      user: claim.default('sub').meta({ description: 'Claim that names the user.' }),
      tags: claim.optional().meta({ description: 'Claim with tags: a list, or names separated by spaces.' }),
    })
    .prefault({}),
  models,
  endpoints,
});

/** Schema of stage authenticate's settings. */
export const authenticateSchema = z
  .strictObject({
    anonymousTenant: name
      .optional()
      .meta({ description: 'Tenant of calls without a known key; unset: a key is required.' }),
    keys: z.array(keySchema).max(100_000).default([]).meta({ description: 'Virtual keys, by digest.' }),
    oidc: z
      .array(issuer)
      .max(16)
      .default([])
      .meta({ description: 'Issuers whose access tokens (JWT) are accepted as keys.' }),
    tokenMaxBytes: z
      .int()
      .min(256)
      .max(15 * 1024)
      .default(8192)
      .meta({ description: 'Largest token that is accepted.' }),
  })
  .prefault({});

/** A virtual key of the configuration. */
export type KeyConfig = z.output<typeof keySchema>;
/** A key to be created. */
export type NewKey = z.output<typeof newKeySchema>;
/** An issuer of the configuration. */
export type IssuerConfig = z.output<typeof issuer>;

/** Stage authenticate's settings, checked. */
export type AuthenticateSettings = z.output<typeof authenticateSchema>;
