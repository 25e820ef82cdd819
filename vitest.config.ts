import { defineConfig } from 'vitest/config';
import type { TestSequencer, TestSpecification } from 'vitest/node';

/** Files that change what a process has only one of (modules, timers, environment), or time its main thread. */
const alone = [
  'test/base/memory.test.ts',
  'test/deliver/{stop,table}.test.ts',
  'test/hardening/{streams,turns}.test.ts',
  'test/upstream/credentials-*.test.ts',
];

/** Files of more than three seconds, the longest first. */
const long = [
  'sync/lease-bound',
  'dialects/sdk-ages',
  'faults/memory',
  'dialects/sdk-python',
  'faults/dialects',
  'field/shipped',
  'faults/process',
  'faults/stall',
  'native/native',
  'limit/concurrent',
  'growth/requests',
  'faults/outage',
  'dialects/round-trip',
  'hardening/turns',
  'dialects/sdk-ai',
  'faults/bad-reply',
  'admin/dashboard',
  'limit/model',
  'dialects/anything',
  'docs/examples',
  'observe/costs',
  'scrub/checksums',
  'observe/ledger',
  'observe/observe',
  'limit/restart',
  'dialects/sdk-openai',
  'sync/faults',
  'hardening/idle',
  'sync/lease-share',
  'field/models',
  'field/streams',
  'config/reload',
  'faults/client',
  'upstream/credentials-google',
  'batch/load',
  'hardening/replies',
  'config/aside',
  'observe/sinks',
  'growth/streams',
  'hardening/cpu',
  'dialects/comply',
  'faults/provider-limits',
  'catalog/catalog',
  'config/faults',
  'field/secrets',
  'dialects/golden',
  'authenticate/oidc',
  'sync/hints',
  'sync/leases',
];

/** There are more workers than cores already: what V8 collects in threads of its own costs a tenth more CPU time. */
const execArgv = ['--single-threaded-gc', '--max-semi-space-size=32'];

/** Long files begin first, and the project with the most small ones is the last: so all workers end together. */
class LongFirst implements TestSequencer {
  async shard(files: TestSpecification[]): Promise<TestSpecification[]> {
    return files;
  }

  async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const projects = ['by-node', 'alone', 'all'];
    const rank = ({ project, moduleId }: TestSpecification): number => {
      const place = long.findIndex((name) => moduleId.endsWith(`/test/${name}.test.ts`));
      return projects.indexOf(project.name) * 1000 + (place < 0 ? long.length : place);
    };
    return files.toSorted((a, b) => rank(a) - rank(b));
  }
}

export default defineConfig({
  test: {
    sequence: { sequencer: LongFirst },
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
          execArgv,
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
          isolate: false,
          execArgv,
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
