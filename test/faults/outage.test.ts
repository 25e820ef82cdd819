/** Outages of five seconds; `npm run scenarios` runs those of a minute. */
import { testOutages } from '../scenarios/outage.ts';

testOutages({ outageMs: 5_000, cooldownMs: 300 });
