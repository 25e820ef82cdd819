/**
 * What each stage of a request costs on the main thread: CPU time, by V8's sampling profiler, and bytes allocated on its heap, by its
 * sampling of allocations. Read over the inspector from the built program, whose source maps lead to the folders of `src`.
 */
import { readFileSync } from 'node:fs';
import { SourceMap } from 'node:module';
import { fileURLToPath } from 'node:url';
import { freePort, mainThreadUs, type Server, startSidegate } from './processes.ts';
import { type Load, type Rig, round } from './run.ts';

/** Cost of one stage, or of what is beside the stages, per request. */
export interface StageCost {
  readonly name: string;
  readonly us: number;
  readonly bytes: number;
}

const profiledMs = 2000;
const sampleEveryUs = 200;
const sampleEveryBytes = 4096;

interface CallFrame {
  readonly functionName: string;
  readonly url: string;
  readonly lineNumber: number;
  readonly columnNumber: number;
}

interface CpuProfile {
  readonly nodes: readonly { readonly id: number; callFrame: CallFrame; children?: readonly number[] }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

interface HeapNode {
  readonly callFrame: CallFrame;
  readonly selfSize: number;
  readonly children: readonly HeapNode[];
}

/** A session of the inspector. */
class Inspector {
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, (result: unknown) => void>();
  #sent = 0;

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.addEventListener('message', ({ data }) => {
      const { id, result } = JSON.parse(String(data)) as { id?: number; result?: unknown };
      if (id === undefined) return;
      this.#waiting.get(id)?.(result);
      this.#waiting.delete(id);
    });
  }

  static async open(port: number): Promise<Inspector> {
    const reply = await fetch(`http://127.0.0.1:${port}/json/list`);
    const [page] = (await reply.json()) as { webSocketDebuggerUrl: string }[];
    const socket = new WebSocket(page?.webSocketDebuggerUrl ?? '');
    await new Promise((resolve, reject) => {
      socket.addEventListener('open', resolve);
      socket.addEventListener('error', () => reject(new Error('the inspector did not answer')));
    });
    return new Inspector(socket);
  }

  ask<T>(method: string, params: object = {}): Promise<T> {
    this.#sent += 1;
    const { promise, resolve } = Promise.withResolvers<unknown>();
    this.#waiting.set(this.#sent, resolve);
    this.#socket.send(JSON.stringify({ id: this.#sent, method, params }));
    return promise as Promise<T>;
  }

  close(): void {
    this.#socket.close();
  }
}

const maps = new Map<string, SourceMap | null>();

function mapOf(url: string): SourceMap | null {
  const known = maps.get(url);
  if (known !== undefined) return known;
  let map: SourceMap | null = null;
  try {
    map = new SourceMap(JSON.parse(readFileSync(`${fileURLToPath(url)}.map`, 'utf8')));
  } catch {
    // A file without a map is one of a library.
  }
  maps.set(url, map);
  return map;
}

/** What a frame belongs to: a folder of `src`, or what is beside them; null: whatever its caller belongs to. */
function ownerOf({ functionName, url, lineNumber, columnNumber }: CallFrame): string | null {
  if (functionName === '(garbage collector)') return 'garbage collection';
  if (functionName === '(idle)') return 'idle';
  if (functionName === '(program)' || functionName === '(root)') return 'kernel and runtime';
  if (url.startsWith('node:')) return 'Node';
  if (url === '') return null;
  const entry = mapOf(url)?.findEntry(lineNumber, columnNumber);
  const source = entry !== undefined && 'originalSource' in entry ? entry.originalSource : url;
  const room = /(?:^|\/)src\/(?:(\w+)\/|(\w+)\.ts)/.exec(source);
  return room === null ? 'libraries' : (room[1] ?? room[2] ?? 'libraries');
}

/** What a function without a file belongs to: what `src/native` calls is the core. */
const ownerIn = (frame: CallFrame, caller: string): string =>
  ownerOf(frame) ?? (caller === 'native' ? 'native core' : caller);

/** CPU time by owner, in µs. */
function timeByOwner({ nodes, samples, timeDeltas }: CpuProfile): Map<string, number> {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const owners = new Map<number, string>();
  const visit = (id: number, caller: string): void => {
    const node = byId.get(id);
    if (node === undefined) return;
    const owner = ownerIn(node.callFrame, caller);
    owners.set(id, owner);
    for (const child of node.children ?? []) visit(child, owner);
  };
  visit(nodes[0]?.id ?? 0, 'kernel and runtime');
  const times = new Map<string, number>();
  samples.forEach((id, i) => {
    const owner = owners.get(id) ?? 'kernel and runtime';
    times.set(owner, (times.get(owner) ?? 0) + (timeDeltas[i] ?? 0));
  });
  times.delete('idle');
  return times;
}

/** Allocated bytes by owner. */
function bytesByOwner(head: HeapNode): Map<string, number> {
  const bytes = new Map<string, number>();
  const visit = ({ callFrame, selfSize, children }: HeapNode, caller: string): void => {
    const owner = ownerIn(callFrame, caller);
    bytes.set(owner, (bytes.get(owner) ?? 0) + selfSize);
    for (const child of children) visit(child, owner);
  };
  visit(head, 'kernel and runtime');
  return bytes;
}

/** Measures a load on a Sidegate of its own, costliest first. */
export async function profileStages(rig: Rig, load: Load): Promise<StageCost[]> {
  const inspectorPort = await freePort();
  const what = { ...load, durationMs: profiledMs };
  const server: Server = await startSidegate({
    upstreamPort: rig.peers.upstreamPort,
    heapFlags: rig.options.heapFlags,
    pinned: true,
    nodeFlags: [`--inspect=127.0.0.1:${inspectorPort}`, '--inspect-publish-uid=http'],
  });
  try {
    await round(rig, server, what);
    const before = mainThreadUs(server.pid);
    const { cpuUs, report: unprofiled } = await round(rig, server, what);
    const mainUs = (mainThreadUs(server.pid) - before) / unprofiled.requests;
    const inspector = await Inspector.open(inspectorPort);
    await inspector.ask('Profiler.enable');
    await inspector.ask('Profiler.setSamplingInterval', { interval: sampleEveryUs });
    await inspector.ask('Profiler.start');
    await round(rig, server, what);
    const { profile } = await inspector.ask<{ profile: CpuProfile }>('Profiler.stop');
    await inspector.ask('HeapProfiler.startSampling', {
      samplingInterval: sampleEveryBytes,
      includeObjectsCollectedByMajorGC: true,
      includeObjectsCollectedByMinorGC: true,
    });
    const { report } = await round(rig, server, what);
    const heap = await inspector.ask<{ profile: { head: HeapNode } }>('HeapProfiler.stopSampling');
    inspector.close();
    const times = timeByOwner(profile);
    const bytes = bytesByOwner(heap.profile.head);
    const all = [...times.values()].reduce((sum, us) => sum + us, 0);
    const stages = [...new Set([...times.keys(), ...bytes.keys()])].map((name) => ({
      name,
      us: ((times.get(name) ?? 0) / all) * mainUs,
      bytes: (bytes.get(name) ?? 0) / report.requests,
    }));
    // Large bodies are inspected there, and garbage is collected.
    const others = { name: 'other threads', us: cpuUs - mainUs, bytes: 0 };
    return [...stages, others].sort((a, b) => b.us - a.us);
  } finally {
    await server.stop();
  }
}

/** The costs as lines of text, the sum first. */
export function costLines(costs: readonly StageCost[]): string[] {
  const sum = (of: (cost: StageCost) => number): number => costs.reduce((total, cost) => total + of(cost), 0);
  const all = { name: 'all', us: sum(({ us }) => us), bytes: sum(({ bytes }) => bytes) };
  return [all, ...costs].map(
    ({ name, us, bytes }) =>
      `${name.padEnd(20)} ${us.toFixed(1).padStart(9)} µs ${bytes.toFixed(0).padStart(9)} bytes`,
  );
}
