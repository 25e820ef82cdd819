/** Settings of personal data: an action for each kind the native core knows, and kinds of the configuration's own. */
import { z } from 'zod';
import { modelPattern, name, secret } from '../base/settings.ts';
import { piiKinds } from '../native/pii.ts';
import { actionNames } from './action.ts';
import { recogniser } from './recogniser/settings.ts';

const action = z.enum(actionNames);
/** A reply can't be refused: its beginning may have been sent. */
const replyAction = action.exclude(['block']);

const ownName = z.string().regex(/^[a-z][a-z0-9_]{0,23}$/, {
  error: 'must be 1–24 lower-case letters, digits or _, and begin with a letter',
});
/** One of ours, or one of `custom`, which is checked where all is known. */
const kindName = z.union([z.enum(piiKinds.map((kind) => kind.name) as [string, ...string[]]), ownName]);

/** Actions by kind that differ from the others. */
const differing = {
  request: z
    .partialRecord(kindName, action)
    .default({})
    .meta({ description: 'Actions in requests, by kind.' }),
  reply: z
    .partialRecord(kindName, replyAction)
    .default({})
    .meta({ description: 'Actions in replies, by kind.' }),
};

/** A policy that differs from the usual one in some kinds. */
export const scrubPolicy = z.strictObject(differing);
/** Such a policy, checked. */
export type ScrubPolicySettings = z.output<typeof scrubPolicy>;

const custom = z.strictObject({
  name: ownName.meta({ description: 'Name of the kind, in capitals in placeholders.' }),
  pattern: z.string().min(1).max(1000).optional().meta({
    description:
      "Regular expression of its values, as Rust's `regex` has them. Each match must have a bounded length.",
  }),
  words: z
    .array(z.string().min(1).max(200))
    .min(1)
    .max(10_000)
    .optional()
    .meta({ description: 'Its values, in any case; instead of `pattern`.' }),
  action: action.default('tokenise').meta({ description: 'What becomes of them in requests.' }),
  reply: replyAction.default('off').meta({ description: 'What becomes of them in replies.' }),
});

/** What is found, and what becomes of it. */
export const scrub = z
  .strictObject({
    request: differing.request.meta({
      description:
        'What becomes of each kind in requests. Unset: tokenise; secrets: redact; `domain`: report.',
    }),
    reply: differing.reply.meta({ description: 'What becomes of each kind in replies. Unset: off.' }),
    secret: secret.min(16, { error: 'must have at least 16 characters' }).optional().meta({
      description:
        'Keys placeholders and hashes, so that they stay the same over restarts and in all sidecars. Unset: a random one for each process. `${ENV}` or `file:/path`.',
    }),
    allow: z
      .array(z.string().min(1).max(300))
      .max(10_000)
      .default([])
      .meta({ description: 'Values that are left as they are, in any case, besides those built in.' }),
    custom: z
      .array(custom)
      .max(16)
      .default([])
      .meta({ description: 'Kinds of your own: a pattern or a list of words each.' }),
    recogniser: recogniser.optional().meta({
      description:
        'An external recogniser of names, places and organisations, which have no form that could be looked for. Unset: none.',
    }),
    tenants: z
      .record(name, scrubPolicy)
      .default({})
      .meta({ description: 'What differs for some tenants, by name.' }),
    routes: z.record(modelPattern, scrubPolicy).default({}).meta({
      description: "What differs on some routes, by the route's `model`; it goes before the tenant's.",
    }),
  })
  .prefault({});

/** Settings of personal data, checked. */
export type ScrubSettings = z.output<typeof scrub>;
