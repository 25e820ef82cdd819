/** A worker beside the first one: a thread that serves the connections it is given. */
import { Socket } from 'node:net';
import { parentPort } from 'node:worker_threads';
import { mayPass, mayStay } from '../authenticate/authenticate.ts';
import { collectGarbage } from '../base/memory.ts';
import { realWorld, type World } from '../base/world.ts';
import type { Config } from '../config/schema.ts';
import { nothingBilled } from '../count/usage.ts';
import { handle } from '../gateway/gateway.ts';
import { type Listener, listen } from '../listen/listen.ts';
import { trimMemory } from '../native/memory.ts';
import { createLog, type LogSink } from '../observe/log.ts';
import { metricsOf } from '../observe/merge.ts';
import { createRecord, noCourse } from '../observe/record.ts';
import type { Stages } from '../stages.ts';
import { composeStages, openRooms, type Rooms } from './compose.ts';
import { type Given, joinCrew, type Order, type Report, systemMs, type WorkerState } from './crew.ts';
import { drain, release } from './drain.ts';
import { full } from './pressure.ts';
import { adopt } from './reload.ts';
import { shareOf } from './share.ts';

const report = (message: Report): void => parentPort?.postMessage(message);

/** A running worker. */
interface Worker {
  readonly rooms: Rooms;
  readonly listener: Listener;
  readonly sink: LogSink;
  readonly connections: Int32Array;
  readonly number: number;
  stages: Stages;
  /** What it is about to adopt. */
  composed: Stages | null;
  /** Number of the newest record that was told. */
  told: number;
}

/** The same clock as the first worker's. */
function clockOf(zeroMs: number): () => number {
  const offsetMs = systemMs() - performance.now() - zeroMs;
  return () => performance.now() + offsetMs;
}

async function start({ worker: number, crewId, ...given }: Given): Promise<Worker> {
  const config = shareOf(given.config);
  const { log: level, logTime } = config.observe;
  const lines = { pass: (bytes: Buffer) => report({ kind: 'log', lines: bytes }), close: async () => {} };
  const sink = createLog(level, lines, logTime === 'iso');
  const world: World = {
    ...realWorld,
    clock: clockOf(given.zeroMs),
    terminal: given.terminal,
    onKeyRefused: () => report({ kind: 'keyRefused' }),
  };
  const open: { worker: Worker | null } = { worker: null };
  const rooms = await openRooms(
    config,
    sink.log,
    world,
    () => open.worker?.listener.inFlight ?? 0,
    joinCrew(number, config.workers, crewId),
    {
      digestKey: Buffer.from(given.digestKey),
      scrubSecret: Buffer.from(given.scrubSecret),
      saved: given.saved,
      sendSegment: (segment) => report({ kind: 'segment', segment }),
    },
  );
  const stages = await composeStages(config, rooms);
  const current = (): Stages => open.worker?.stages ?? stages;
  const listener = await listen(
    config.listen,
    (exchange) => handle(exchange, current()),
    {
      mayPass: (headers) => mayPass(headers, current().keyring),
      mayStay: (headers) => mayStay(headers, current().keyring),
    },
    world.clock,
    (request, { code, entry }) =>
      rooms.observer.record(
        createRecord(request, noCourse, { status: entry.status, error: code }, nothingBilled, world.clock()),
        null,
      ),
    given.adminUrl,
    { closed: true },
  );
  const { connections } = given;
  open.worker = { rooms, listener, sink, connections, number, stages, composed: null, told: 0 };
  return open.worker;
}

/** Serves a connection that the first worker has accepted. */
function serve(descriptor: number, { listener, connections, number }: Worker): void {
  const left = (): void => void Atomics.sub(connections, number, 1);
  try {
    const socket = new Socket({ fd: descriptor, readable: true, writable: true, allowHalfOpen: true });
    socket.once('close', left);
    listener.take(socket);
  } catch {
    // Its client is gone.
    left();
  }
}

async function compose(config: Config, worker: Worker): Promise<void> {
  worker.composed = await composeStages(shareOf(config), worker.rooms);
}

function adoptComposed(worker: Worker): void {
  const { composed, rooms, listener, sink } = worker;
  if (composed === null) return;
  adopt(composed.config, rooms, listener);
  worker.stages = composed;
  worker.composed = null;
  sink.setLevel(composed.config.observe.log);
}

function stateOf(worker: Worker): WorkerState {
  const { rooms, listener, told } = worker;
  const { recent, spend } = rooms.observer;
  worker.told = recent.newest;
  const labels = rooms.health.states('target').map(([label]) => label);
  return {
    inFlight: listener.inFlight,
    batchWaiting: rooms.batch.waiting,
    targets: Object.fromEntries(labels.map((label) => [label, rooms.health.inFlight(label)])),
    places: rooms.cache.places(),
    spend: [...spend.rows()],
    recent: recent.since(told, Number.MAX_SAFE_INTEGER),
  };
}

async function end(worker: Worker, drainMs: number): Promise<void> {
  await drain(worker.rooms, worker.listener, drainMs, null);
  await release(worker.rooms, Promise.resolve());
  worker.sink.flush();
}

async function obey(order: Order, worker: Worker): Promise<unknown> {
  const { rooms, listener } = worker;
  const { clock, wallClock } = rooms.world;
  switch (order.kind) {
    case 'start':
      return undefined;
    case 'connection':
      return serve(order.descriptor, worker);
    case 'compose':
      return compose(order.config, worker);
    case 'adopt':
      return adoptComposed(worker);
    case 'purge':
      return rooms.cache.purge(order.what, clock());
    case 'restored':
      return rooms.cache.fill({ kind: 'head', bytes: Buffer.from(order.head) }, clock(), wallClock());
    case 'squeeze':
      rooms.cache.squeeze(order.share);
      return listener.squeeze(order.share);
    case 'full':
      return listener.refuseNew(order.full ? full : null);
    case 'collect':
      collectGarbage();
      return trimMemory();
    case 'state':
      return stateOf(worker);
    case 'metrics':
      return metricsOf(rooms.metrics.registry);
    case 'drain':
      return end(worker, order.drainMs);
  }
}

let running: Promise<Worker> | null = null;

parentPort?.on('message', async (order: Order) => {
  try {
    running ??= order.kind === 'start' ? start(order.given) : Promise.reject(new Error('not started'));
    const value = await obey(order, await running);
    if ('id' in order) report({ kind: 'answer', id: order.id, value });
  } catch (cause) {
    // What isn't asked for an answer throws only by a defect.
    if (!('id' in order)) throw cause;
    report({ kind: 'failed', id: order.id, reason: cause instanceof Error ? cause.message : String(cause) });
  }
});
