import { defineConfig } from 'vitest/config';

/** Files that change what a process has only one of: modules, timers, environment. */
const alone = [
  'test/base/memory.test.ts',
  'test/deliver/{stop,table}.test.ts',
  'test/upstream/credentials-*.test.ts',
];

export default defineConfig({
  test: {
    // For what hangs: a machine that is busy with other work takes several times as long as a quiet one.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    maxWorkers: 3,
    projects: [
      // Patterns are each project's own: those of this file would be added to them.
      {
        // One process runs many files: loading the modules anew for each took a third of all CPU time.
        extends: true,
        test: {
          name: 'all',
          isolate: false,
          include: ['test/**/*.test.ts'],
          exclude: ['test/scenarios/**', ...alone],
        },
      },
      {
        extends: true,
        test: { name: 'alone', include: alone },
      },
      {
        // Requests of `test/support/client.ts` are plain, which Node's HTTP server never sees: here they aren't.
        extends: true,
        test: {
          name: 'by-node',
          include: [
            'test/listen/listen.test.ts',
            'test/listen/guard.test.ts',
            'test/faults/{client,cut-stream,limits,stall}.test.ts',
          ],
          env: { SIDEGATE_TEST_UNUSUAL: '1' },
        },
      },
    ],
  },
});
