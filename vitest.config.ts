import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    testTimeout: 30_000,
    hookTimeout: 30_000,
    maxWorkers: 2,
    projects: [
      // Patterns are each project's own: those of this file would be added to them.
      {
        extends: true,
        test: { name: 'all', include: ['test/**/*.test.ts'], exclude: ['test/scenarios/**'] },
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
