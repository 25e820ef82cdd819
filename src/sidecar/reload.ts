/** Adopts a new configuration in a running sidecar. */
import type { Config } from '../config/schema.ts';
import type { Listener } from '../listen/listen.ts';
import { retryBudget } from '../native/retries.ts';
import { metricSettings, type Rooms } from './compose.ts';

/**
 * Makes the long-lived rooms adopt a configuration. Must be called after `composeStages`, which may reject, so that a
 * refused configuration changes no limit; and in the same turn of the event loop in which the new stages are put in
 * place, so that no request sees old stages with new limits. The order of the rooms doesn't matter.
 */
export function adopt(config: Config, rooms: Rooms, listener: Listener): void {
  const { ratio, minPerSecond } = config.attempt.retryBudget;
  retryBudget.set(rooms.retryBudgetId, ratio, minPerSecond);
  rooms.form.share = config.observe.logShare;
  Object.assign(rooms.settings, metricSettings(config));
  rooms.observer.nameLimits(rooms.settings.limitNames);
  rooms.observer.recent.resize(config.observe.recent);
  rooms.followers.ledger?.update(config.observe.ledger);
  rooms.limiter.update(config);
  rooms.cache.update(config.cache);
  rooms.replay.update(config.replay);
  rooms.batch.update(config);
  rooms.counter.update(config.count);
  listener.update(config.listen);
}
