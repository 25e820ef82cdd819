/**
 * The floors of `src`: the order in which folders may import each other. docs/internals/architecture.md explains them.
 */

/** From the ground up. Rooms of one floor are peers, which know nothing of each other. */
export const floors: readonly (readonly string[])[] = [
  ['native'],
  ['base'],
  ['exchange'],
  ['dialects', 'store'],
  ['catalog'],
  ['count', 'simulate'],
  ['upstream'],
  [
    'listen',
    'authenticate',
    'inspect',
    'route',
    'replay',
    'limit',
    'scrub',
    'cache',
    'batch',
    'attempt',
    'observe',
    'sync',
  ],
  ['config'],
  ['admin'],
  ['stages.ts'],
  ['passage.ts'],
  ['deliver'],
  ['gateway'],
  ['sidecar'],
  ['commands'],
  ['cli.ts'],
  ['main.ts'],
];
