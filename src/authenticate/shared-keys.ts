/** The stored keys of this pod, as the other pods are told of them. */
import type { KeyBook, KeyPlace } from '../exchange/shared-keys.ts';
import type { Store } from '../store/database.ts';
import { newKeySchema } from './settings.ts';

/** @param store with the tables of `keyTables` */
export function openKeyBook(store: Store): KeyBook {
  const unsent = store.prepare(
    `SELECT id, hex(digest) AS digest, body, created_ms, revoked_ms FROM key
     WHERE sent < 1 + (revoked_ms IS NOT NULL) LIMIT ?`,
  );
  const sent = store.prepare('UPDATE key SET sent = ? WHERE id = ?');
  const resend = store.prepare('UPDATE key SET sent = 0');
  const displace = store.prepare('DELETE FROM key WHERE id = ? AND digest <> ?');
  // Whoever told us of a revocation knows it: nothing is to be sent, unless it is revoked here alone.
  const adopt = store.prepare(
    `INSERT INTO key (digest, id, body, created_ms, revoked_ms, sent) VALUES (?1, ?2, ?3, ?4, ?5, 1 + (?5 IS NOT NULL))
     ON CONFLICT (digest) DO UPDATE SET
       sent = 1 + (?5 IS NOT NULL), revoked_ms = coalesce(revoked_ms, ?5) WHERE id = ?2`,
  );
  const readPlace = store.prepare('SELECT born, version FROM key_place');
  const writePlace = store.prepare('UPDATE key_place SET born = ?, version = ?');
  const found = readPlace.get();
  let place: KeyPlace = { born: String(found?.born ?? ''), version: Number(found?.version ?? 0) };
  return {
    get place() {
      return place;
    },
    unsent: (max) =>
      unsent.all(max).map((row) => ({
        id: String(row.id),
        digest: String(row.digest).toLowerCase(),
        body: String(row.body),
        createdMs: Number(row.created_ms),
        revokedMs: row.revoked_ms === null ? null : Number(row.revoked_ms),
      })),
    adopt(rows, next) {
      store.transaction(() => {
        for (const { id, digest, body, createdMs, revokedMs } of rows) {
          if (!isGrant(body, id)) continue;
          const bytes = Buffer.from(digest, 'hex');
          displace.run(id, bytes);
          adopt.run(bytes, id, body, createdMs, revokedMs);
        }
        writePlace.run(next.born, next.version);
      });
      place = next;
    },
    sent(rows) {
      store.transaction(() => {
        for (const { id, revokedMs } of rows) sent.run(revokedMs === null ? 1 : 2, id);
      });
    },
    resend: () => void resend.run(),
  };
}

/** A newer version, or somebody by hand, may have written what this one can't read. */
function isGrant(body: string, id: string): boolean {
  const read = newKeySchema.safeParse(JSON.parse(body));
  return read.success && read.data.id === id;
}
