/** What the page knows: the events of the admin port, collected while it is open. */
import type { LimitView } from '../../limit/view.ts';
import type { LedgerState } from '../../observe/ledger/ledger.ts';
import type { SinkState } from '../../observe/sink-state.ts';
import type { SpendRow } from '../../observe/spend.ts';
import type { Story } from '../../observe/story.ts';
import type { LeaseState, RouteView, TargetView } from '../dashboard.ts';

export type { LimitView, RouteView, SpendRow, Story, TargetView };

/** One event. */
export interface Overview {
  readonly nowMs: number;
  /** Names the process. */
  readonly instance: string;
  readonly mode: string;
  readonly dataUrl: string;
  readonly newest: number;
  /** How many requests are kept; 0: none. */
  readonly recentMax: number;
  readonly numbers: Readonly<
    Record<'inFlight' | 'cacheEntries' | 'cacheBytes' | 'batchWaiting' | 'rssBytes' | 'upSeconds', number>
  >;
  readonly targets: readonly TargetView[];
  readonly routes: readonly RouteView[];
  readonly limits: readonly LimitView[];
  readonly leases: LeaseState | null;
  readonly spend: readonly SpendRow[];
  readonly ledger: LedgerState | null;
  readonly sinks: readonly (readonly [name: string, state: SinkState])[];
}

/** What to say where no request is to be seen. */
export const nothingYet = (): string =>
  state.overview?.recentMax === 0
    ? 'Requests are not kept: set observe.recent, such as to 500, to see them and their times here.'
    : 'No requests yet. Send one, or try the playground.';

/** Most requests the page keeps. */
const keptMax = 3000;

/** State of the page. */
export const state: { requests: Story[]; overview: Overview | null; connected: boolean } = {
  requests: [],
  overview: null,
  connected: false,
};

/** Follows the events, reconnecting as browsers do. Nothing is asked while the page is hidden. */
export function follow(changed: () => void): void {
  let source: EventSource | null = null;
  const open = (): void => {
    source?.close();
    source = new EventSource('/api/events');
    source.onmessage = ({ data }) => {
      const { requests, ...overview } = JSON.parse(data) as Overview & { requests: Story[] };
      // Another process has numbers of its own: the sidecar has restarted, or the port leads to another pod.
      if (overview.instance !== state.overview?.instance) state.requests = [];
      const last = state.requests.at(-1)?.number ?? 0;
      const fresh = requests.filter(({ number }) => number > last);
      state.requests = [...state.requests, ...fresh].slice(-keptMax);
      state.overview = overview;
      state.connected = true;
      changed();
    };
    source.onerror = () => {
      state.connected = false;
      changed();
    };
  };
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) {
      source?.close();
      source = null;
    } else if (source === null) open();
  });
  open();
}

/** Asks for something once. Rejects with what the port says. */
export async function ask<T>(path: string): Promise<T> {
  const reply = await fetch(path);
  const body = await reply.json();
  if (!reply.ok) throw new Error(String(body.detail ?? reply.status));
  return body as T;
}
