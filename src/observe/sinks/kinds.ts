/** Every kind of sink. A new one is a row here and its settings; its client is loaded only where it is configured. */
import type { SinkSettings } from './settings.ts';
import type { Sink, SinkSource } from './sink.ts';

/** A sink's name, and its settings' name. */
export type SinkKind = Exclude<keyof SinkSettings, 'instance'>;

type SettingsOf<K extends SinkKind> = NonNullable<SinkSettings[K]>;

interface Kind<K extends SinkKind> {
  open(settings: SettingsOf<K>): Promise<Sink>;
  /** Opens it for reading; null: this kind can't be read. */
  readonly read: ((settings: SettingsOf<K>) => Promise<SinkSource>) | null;
}

const kinds: { readonly [K in SinkKind]: Kind<K> } = {
  redis: {
    open: async (settings) => (await import('./redis.ts')).openRedis(settings),
    read: async (settings) => (await import('./redis.ts')).readRedis(settings),
  },
  webhook: { open: async (settings) => (await import('./webhook.ts')).openWebhook(settings), read: null },
  postgres: {
    open: async (settings) => (await import('./postgres.ts')).openPostgres(settings),
    read: async (settings) => (await import('./postgres.ts')).readPostgres(settings),
  },
  clickhouse: {
    open: async (settings) => (await import('./clickhouse.ts')).openClickhouse(settings),
    read: async (settings) => (await import('./clickhouse.ts')).readClickhouse(settings),
  },
};

/** The names of all kinds. */
export const sinkKinds = Object.keys(kinds) as readonly SinkKind[];

/** Kinds that can be read. */
export const readableKinds = sinkKinds.filter((name) => kinds[name].read !== null);

/** The kinds that are configured. */
export const configuredKinds = (settings: SinkSettings): SinkKind[] =>
  sinkKinds.filter((name) => settings[name] !== undefined);

/** Opens a sink that is configured. */
export const openSink = <K extends SinkKind>(name: K, settings: SinkSettings): Promise<Sink> =>
  (kinds[name] as Kind<K>).open(settings[name] as SettingsOf<K>);

/** Opens a sink for reading; null: it isn't configured, or can't be read. */
export async function openSource<K extends SinkKind>(
  name: K,
  settings: SinkSettings,
): Promise<SinkSource | null> {
  const own = settings[name] as SettingsOf<K> | undefined;
  const read = (kinds[name] as Kind<K>).read;
  return own === undefined || read === null ? null : read(own);
}
