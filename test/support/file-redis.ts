/** A Redis for all tests of a file. */
import { Redis } from 'ioredis';
import { afterAll, beforeAll } from 'vitest';
import { type RedisProcess, startRedis } from './redis.ts';

/** Starts one before the file's first test and ends it after the last. @returns its client, once tests run */
export function fileRedis(): () => Redis {
  let server: RedisProcess;
  let redis: Redis;
  beforeAll(async () => {
    server = await startRedis();
    redis = new Redis(server.url);
  });
  afterAll(async () => {
    redis.disconnect();
    await server.stop();
  });
  return () => redis;
}
