/** Sends raw bytes to a port, and tells what came back and what the provider was asked. */
import { setImmediate as turn } from 'node:timers/promises';
import { openSocket } from '../support/client.ts';
import { readReplies } from '../support/raw-replies.ts';
import { openaiWire } from '../support/replies.ts';
import { answers, type Call, startUpstream, type Upstream } from '../support/upstream.ts';
import { type Case, next } from './requests.ts';

/** What became of a case. */
export interface Found {
  /** Statuses of the final replies. */
  readonly statuses: readonly number[];
  /** Status and names of the fields of every reply. */
  readonly heads: readonly string[];
  /** What was received behind the last whole reply. */
  readonly rest: string;
  /** What the provider was asked for meanwhile. */
  readonly asked: readonly string[];
}

/** For what hangs: longer than anything here takes. */
const patienceMs = 20_000;

/** The prompt of a call. */
const promptOf = ({ json }: Call): string => {
  const [message] = json.messages as readonly { readonly content: string }[];
  return message?.content ?? '';
};

/** A provider that answers everything. */
export const startProvider = (): Promise<Upstream> => startUpstream(answers(openaiWire, 'An answer'));

/** Sends a case with the request behind it, and reads until the connection closes. */
export const sendCase = (url: string, upstream: Upstream, { bytes }: Case): Promise<Found> =>
  send(url, upstream, [bytes + next]);

/** Sends pieces, each in a packet of its own, and reads until the connection closes. */
export async function send(url: string, upstream: Upstream, pieces: readonly string[]): Promise<Found> {
  const before = upstream.calls.length;
  const socket = await openSocket(url);
  socket.on('error', () => {});
  socket.setEncoding('latin1');
  let text = '';
  const closed = new Promise<void>((resolve) => {
    const late = setTimeout(() => {
      text += '(still open)';
      socket.destroy();
    }, patienceMs);
    socket.on('close', () => {
      clearTimeout(late);
      resolve();
    });
  });
  socket.on('data', (chunk) => {
    text += chunk;
  });
  socket.setNoDelay(true);
  for (const piece of pieces) {
    if (!socket.writable) break;
    await new Promise((resolve) => socket.write(Buffer.from(piece, 'latin1'), resolve));
    // The server is in this process: it reads the piece before the next one is written.
    await turn();
  }
  await closed;
  const { replies, rest } = readReplies(text);
  return {
    statuses: replies.flatMap(({ status }) => (status < 200 ? [] : [status])),
    rest,
    heads: replies.map(({ status, headers }) => [status, ...Object.keys(headers).sort()].join(' ')),
    asked: upstream.calls.slice(before).map(promptOf),
  };
}
