/** How a running sidecar adopts a new configuration. */
import type { Config } from '../config/schema.ts';
import type { Listener } from '../listen/listen.ts';
import { retryBudget } from '../native/retries.ts';
import { limitNames, type Rooms } from './compose.ts';

/**
 * Has the rooms that live on adopt a configuration. It comes after `composeStages`, which may reject: a configuration
 * that is refused changes no limit. It ends before the new stages are put in place, in the same turn of the event loop,
 * so that no request meets old stages and new limits. Among themselves the rooms are in no order.
 */
export function adopt(config: Config, rooms: Rooms, listener: Listener): void {
  const { ratio, minPerSecond } = config.attempt.retryBudget;
  retryBudget.set(rooms.retryBudgetId, ratio, minPerSecond);
  rooms.observer.nameLimits(limitNames(config));
  rooms.limiter.update(config);
  rooms.cache.update(config.cache);
  rooms.replay.update(config.replay);
  rooms.batch.update(config);
  rooms.counter.update(config.count);
  listener.update(config.listen);
}
