/** Delivers sessions: passes messages between two WebSockets, charges each reply, and closes both sides when one ends. */
import type { WebSocket } from 'ws';
import type { SessionAnswer } from '../attempt/answer.ts';
import { type ErrorCode, Refusal } from '../base/errors.ts';
import { sessionApi } from '../dialects/session.ts';
import type { SessionReply } from '../exchange/reply.ts';
import type { Passage } from '../passage.ts';
import { denyForeign, mayName } from '../route/named-objects.ts';
import { keepsForOne } from '../route/objects.ts';
import { createPipe, type Pipe } from './pipe.ts';
import { createCharges, type SessionCharges } from './session-charges.ts';

/** Codes of closings (RFC 6455, section 7.4.1; 1011 and what follows: IANA's registry). */
const closing = { normal: 1000, away: 1001, noCode: 1005, broken: 1006, policy: 1008, failed: 1011 } as const;
/** Longest reason of a closing, bytes. */
const reasonMaxBytes = 123;

/** How a session ended. */
interface End {
  readonly by: 'client' | 'provider' | 'gateway';
  /** What it is recorded as; null: nothing went wrong. */
  readonly error: ErrorCode | null;
  /** A limit or budget ended it. */
  readonly stopped?: boolean;
  /** The client left without a word. */
  readonly abandoned?: boolean;
}

/** The reply that opens a session at the client, too. @param headers flat */
export function deliverSession(
  answer: SessionAnswer,
  headers: readonly string[],
  passage: Passage,
): SessionReply {
  const nowMs = passage.stages.clock();
  const session = new Session(answer, passage, nowMs - answer.begunMs);
  return {
    kind: 'session',
    status: 101,
    headers,
    protocol: answer.socket.protocol,
    begin: (client, mayStay) => session.begin(client, mayStay),
    leave: (refusal) => session.leave(refusal),
  };
}

class Session {
  readonly #provider: WebSocket;
  readonly #answer: SessionAnswer;
  readonly #passage: Passage;
  readonly #upstreamMs: number;
  readonly #api;
  readonly #reading;
  readonly #charges: SessionCharges;
  #client: WebSocket | null = null;
  #mayStay: () => boolean = () => true;
  /** From the client, and to it. */
  #up: Pipe | null = null;
  #down: Pipe | null = null;
  /** What the client is told once no reply is in progress; null: it may go on. */
  #leaving: Refusal | null = null;
  /** Messages of the client that are looked through, one after the other; null: none is. */
  #looking: Promise<void> | null = null;
  #ended = false;
  #idle: NodeJS.Timeout | undefined;
  #longest: NodeJS.Timeout | undefined;
  #release: (() => void)[] = [];

  constructor(answer: SessionAnswer, passage: Passage, upstreamMs: number) {
    this.#answer = answer;
    this.#provider = answer.socket;
    this.#passage = passage;
    this.#upstreamMs = upstreamMs;
    this.#api = sessionApi(passage.exchange.endpoint.dialect);
    this.#reading = this.#api.createReading();
    this.#charges = createCharges(answer, passage, (refusal) => this.#stop(refusal, closing.policy, true));
  }

  async begin(client: WebSocket | null, mayStay: () => boolean): Promise<void> {
    const provider = this.#provider;
    this.#mayStay = mayStay;
    provider.on('error', () => this.#broken("The provider's WebSocket broke off."));
    if (client === null) return this.#closed('client', closing.broken, noReason);
    this.#client = client;
    // What can't be read ends it at once; the closing says what was wrong.
    client.on('error', () => this.#closed('client', closing.broken, noReason));
    const closed = new Promise<void>((resolve) => client.on('close', () => resolve()));
    const { cancellation } = this.#passage.exchange;
    const { sessions, clientTimeoutMs } = this.#passage.stages.config.listen;
    const up = createPipe(client, provider, clientTimeoutMs, () => {
      this.#broken('The provider takes no more messages.');
      provider.terminate();
    });
    const down = createPipe(provider, client, clientTimeoutMs, () => client.terminate());
    this.#up = up;
    this.#down = down;
    const onCancel = (): void => this.#cancelled();
    cancellation.onCancel(onCancel);
    this.#release = [up.close, down.close, () => cancellation.off(onCancel)];
    this.#idle = setTimeout(() => this.#stop(idle(sessions.idleMs), closing.away), sessions.idleMs);
    this.#longest = setTimeout(
      () => this.#stop(over(sessions.durationMs), closing.away),
      sessions.durationMs,
    );
    client.on('message', (data: Buffer, binary) =>
      this.#guard(() => this.#sent(data, () => up.message(data, binary))),
    );
    provider.on('message', (data: Buffer, binary) =>
      this.#guard(() => this.#received(data, () => down.message(data, binary))),
    );
    client.on('close', (code, reason) => this.#closed('client', code, reason));
    provider.on('close', (code, reason) => this.#closed('provider', code, reason));
    provider.resume();
    // It may have left before anybody listened.
    if (provider.readyState === provider.CLOSED) this.#closed('provider', closing.broken, noReason);
    else if (cancellation.reason !== null) onCancel();
    else if (this.#leaving !== null) this.leave(this.#leaving);
    await closed;
  }

  /** Ends it as soon as no reply is in progress. */
  leave(refusal: Refusal): void {
    this.#leaving = refusal;
    if (this.#client !== null && !this.#reading.replying) this.#stop(refusal, closing.away);
  }

  #sent(data: Buffer, pass: () => void): void {
    if (!this.#mayStay()) return this.#stop(keyless, closing.policy);
    this.#idle?.refresh();
    this.#reading.sent(data);
    if (this.#looking === null && !this.#mayNameForeign(data)) return pass();
    this.#look(data, pass);
  }

  /** Whether a message may name what another tenant keeps at the provider. */
  #mayNameForeign(data: Buffer): boolean {
    const { objects } = this.#passage.stages;
    return !keepsForOne(this.#answer.target.provider, objects) && mayName(data);
  }

  /** Looks through a message for what belongs to others, then passes it on. Nothing further is read until then. */
  #look(body: Buffer, pass: () => void): void {
    const { exchange, identity, stages } = this.#passage;
    const { cancellation, endpoint } = exchange;
    const asked = { body, query: '', headers: {}, cancellation, endpoint };
    const { provider } = this.#answer.target;
    const deadlineMs = stages.clock() + stages.config.attempt.totalTimeoutMs;
    this.#up?.hold(true);
    const before = this.#looking ?? Promise.resolve();
    const looked = before.then(async () => {
      if (this.#ended) return;
      const tenant = identity?.tenant ?? '';
      const denied = await denyForeign(asked, [provider], tenant, stages.objects, stages.aside, deadlineMs);
      if (denied === null) pass();
      else this.#stop(denied, closing.policy);
    });
    const done = looked
      .catch((cause: unknown) => this.#defect(cause))
      .then(() => {
        if (this.#looking !== done) return;
        this.#looking = null;
        if (!this.#ended) this.#up?.hold(false);
      });
    this.#looking = done;
  }

  #received(data: Buffer, pass: () => void): void {
    this.#idle?.refresh();
    pass();
    const spent = this.#reading.received(data);
    this.#note();
    if (spent !== null) {
      this.#charges.charge(spent);
      if (!this.#mayStay()) this.#stop(keyless, closing.policy);
    }
    if (this.#leaving !== null) this.leave(this.#leaving);
  }

  /** Notes whose it is what the provider has just said that it made. */
  #note(): void {
    const { made } = this.#reading;
    const { identity, stages } = this.#passage;
    if (made === null || identity === null) return;
    stages.objects.owners.note(this.#answer.target.provider.name, made, identity.tenant);
  }

  /** A defect of ours ends the session, not the process. */
  #guard(work: () => void): void {
    if (this.#ended) return;
    try {
      work();
    } catch (cause) {
      this.#defect(cause);
    }
  }

  #defect(cause: unknown): void {
    this.#passage.reportDefect(cause);
    this.#stop(new Refusal('internal', 'Sidegate failed on this session.'), closing.failed);
  }

  #cancelled(): void {
    const { reason } = this.#passage.exchange.cancellation;
    if (reason instanceof Refusal) this.#stop(reason, closing.away);
    else this.#closed('client', closing.broken, noReason);
  }

  /** Ends the session, and says why. @param limited a limit or budget ended it */
  #stop(refusal: Refusal, code: number, limited = false): void {
    if (this.#ended) return;
    this.#end({ by: 'gateway', error: limited ? null : refusal.code, stopped: limited });
    const client = this.#client;
    const error = this.#api.error(refusal, this.#passage.exchange.id);
    if (client !== null && error !== null && client.readyState === client.OPEN) client.send(error);
    this.#closeClient(code, refusal.text);
    closeWith(this.#provider, closing.normal, '');
  }

  /** One side has closed, or broken off; the other is closed with the same code and reason. */
  #closed(by: 'client' | 'provider', code: number, reason: Buffer): void {
    if (this.#ended) return;
    if (by === 'provider' && code === closing.broken)
      return this.#broken("The provider's WebSocket broke off.");
    this.#end({ by, error: null, abandoned: code === closing.broken });
    const text = reason.toString('utf8');
    if (by === 'client') closeWith(this.#provider, code, text);
    else this.#closeClient(code, text);
  }

  /**
   * Closes the client's side. A peer has little time for its part of a closing, which can't be read before all that was
   * said until then: that has the time that a slow client has otherwise.
   */
  #closeClient(code: number, reason: string): void {
    const client = this.#client;
    if (client !== null) this.#down?.emptied(() => closeWith(client, code, reason));
  }

  /** The provider's connection broke, or what it sent can't be read. */
  #broken(what: string): void {
    if (this.#ended) return;
    const refusal = new Refusal('upstream_failed', what);
    this.#end({ by: 'provider', error: refusal.code });
    const client = this.#client;
    const error = this.#api.error(refusal, this.#passage.exchange.id);
    if (client !== null && error !== null && client.readyState === client.OPEN) client.send(error);
    this.#closeClient(closing.failed, refusal.text);
  }

  /** Settles the session, once. */
  #end({ by, error, stopped = false, abandoned = false }: End): void {
    this.#ended = true;
    this.#charges.close();
    clearTimeout(this.#idle);
    clearTimeout(this.#longest);
    for (const release of this.#release) release();
    const { target, end } = this.#answer;
    const { bill, facts } = this.#charges;
    end(error === 'upstream_failed' && by === 'provider' ? 'reset' : null, facts);
    const { request } = this.#passage;
    const { model } = this.#reading;
    if (request !== null && request.model === '') this.#passage.request = { ...request, model };
    this.#passage.close({
      status: 101,
      target: target.label,
      upstreamMs: this.#upstreamMs,
      error: error ?? '',
      stopped,
      abandoned,
      session: { bill, cut: this.#reading.replying },
    });
  }
}

const keyless = new Refusal(
  'key_revoked',
  'The key that opened the session has been revoked, or has expired.',
);
const idle = (ms: number): Refusal =>
  new Refusal('session_over', `No message passed for ${ms} ms (listen.sessions.idleMs).`);
const over = (ms: number): Refusal =>
  new Refusal('session_over', `The session has lasted ${ms} ms (listen.sessions.durationMs).`);

const noReason = Buffer.alloc(0);

/** Closes a side. Codes that only say what was seen, and must not be sent, are told as the peer leaving. */
function closeWith(socket: WebSocket, code: number, reason: string): void {
  socket.resume();
  if (code === closing.noCode) return socket.close();
  const sent = code === closing.broken || code === 1015 ? closing.away : code;
  socket.close(sent, cut(reason));
}

/** A reason, as far as it fits. */
function cut(reason: string): string {
  const bytes = Buffer.from(reason);
  if (bytes.length <= reasonMaxBytes) return reason;
  return bytes
    .subarray(0, reasonMaxBytes)
    .toString('utf8')
    .replace(/\uFFFD+$/, '');
}
