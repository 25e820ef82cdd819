/** The dashboard's page gets an event each second; one that can't be made is left out, and ends nothing. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { createDashboard, type DashboardView } from '../../src/admin/dashboard.ts';
import { configSchema } from '../../src/config/schema.ts';
import { createRecent } from '../../src/observe/recent.ts';

const view: DashboardView = {
  config: () => configSchema.parse({}),
  dataUrl: () => '',
  refresh: async () => {},
  recent: createRecent(10),
  spend: { rows: () => [] },
  targets: () => [],
  routes: () => [],
  limits: () => [],
  ledger: () => null,
  sinks: () => [],
  numbers: () => ({
    inFlight: 0,
    cacheEntries: 0,
    cacheBytes: 0,
    batchWaiting: 0,
    rssBytes: 0,
    upSeconds: 0,
  }),
  leases: () => null,
  token: () => null,
  isAdmin: () => false,
};

/** Serves a dashboard; returns its address. */
async function serve(of: Partial<DashboardView>): Promise<string> {
  const dashboard = createDashboard({ ...view, ...of });
  const server = createServer((req, res) => {
    dashboard.answer(req, res, req.url ?? '').catch(() => res.writeHead(500).end());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    dashboard.close();
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test('an event that fails is left out, and the next one comes', async () => {
  let asked = 0;
  const url = await serve({
    refresh: async () => {
      asked += 1;
      if (asked === 1) throw new Error('no answer');
    },
    targets: () => {
      if (asked === 2) throw new Error('no state');
      return [];
    },
  });
  const events = await fetch(`${url}/api/events`);
  const reader = events.body?.getReader();
  // The first comes at once.
  for (let i = 0; i < 2; i++) expect((await reader?.read())?.done).toBe(false);
  expect(asked).toBe(3);
  await reader?.cancel();
});
