/** Outages of a minute; the short version is test/faults/outage.test.ts. */
import { testOutages } from './outage.ts';

testOutages({ outageMs: 60_000, cooldownMs: 1_000 });
