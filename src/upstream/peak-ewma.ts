/**
 * How fast a target answers now: a Peak EWMA (it rises at once and falls gradually) of the time to first token for
 * streams, otherwise of the time per output token. Calls still waiting count too, so that traffic leaves a target that
 * has become slow before its first slow answer arrives.
 */

/** Time in which a reading's weight decays to 1/e. */
const decayMs = 10_000;
/** Shorter replies are mostly overhead, and would look slow per token. */
const tokensMin = 16;
/** Consecutive failures that eject a target, and for how long: doubled each time, up to the maximum. */
const failuresMax = 3;
const ejectionMs = 5_000;
const ejectionMaxMs = 60_000;

/** State of one kind of call. */
interface Reading {
  /** 0: nothing seen yet. */
  cost: number;
  seenMs: number;
  waiting: number;
  /** Sum of the start times of the waiting calls. */
  begunMs: number;
}

const unread = (): Reading => ({ cost: 0, seenMs: 0, waiting: 0, begunMs: 0 });

/** One target's speed. Times are monotonic ms. Each `begin` is followed by one of the other four calls. */
export class PeakEwma {
  readonly #streams = unread();
  readonly #wholes = unread();
  /** Average output tokens of a whole reply; 0: none counted yet. */
  #tokens = 0;
  #failures = 0;
  #ejections = 0;
  #ejectedUntilMs = 0;

  /** A call was sent. */
  begin(stream: boolean, nowMs: number): void {
    const reading = stream ? this.#streams : this.#wholes;
    reading.waiting += 1;
    reading.begunMs += nowMs;
  }

  /** The first token of a stream, or a whole reply, has arrived. @param outputTokens 0: unknown, or a stream */
  observe(stream: boolean, begunMs: number, nowMs: number, outputTokens: number): void {
    const reading = this.#end(stream, begunMs);
    if (outputTokens > 0) {
      this.#tokens += (this.#tokens === 0 ? 1 : 0.1) * (outputTokens - this.#tokens);
    }
    const tokens = outputTokens > 0 ? Math.max(tokensMin, outputTokens) : 1;
    take(reading, (nowMs - begunMs) / tokens, nowMs);
    this.#failures = 0;
    this.#ejections = 0;
  }

  /** The call failed; the time it took is a lower bound of the time an answer would have taken. */
  fail(stream: boolean, begunMs: number, nowMs: number): void {
    const reading = this.#end(stream, begunMs);
    const least = (nowMs - begunMs) / this.#divisor(stream);
    if (least > reading.cost) take(reading, least, nowMs);
    this.#failures += 1;
    if (this.#failures < failuresMax) return;
    this.#ejectedUntilMs = nowMs + Math.min(ejectionMaxMs, ejectionMs * 2 ** this.#ejections);
    this.#ejections = Math.min(this.#ejections + 1, 10);
    this.#failures = 0;
  }

  /** The call ended in a way that says nothing about speed: a refusal. */
  abandon(stream: boolean, begunMs: number): void {
    this.#end(stream, begunMs);
  }

  /** The call was cancelled: it lost to a hedge, or the client left. Its time is a lower bound, and it is no failure. */
  giveUp(stream: boolean, begunMs: number, nowMs: number): void {
    const reading = this.#end(stream, begunMs);
    const least = (nowMs - begunMs) / this.#divisor(stream);
    if (least > reading.cost) take(reading, least, nowMs);
  }

  /** Whether the target is ejected for consecutive failures. */
  ejected(nowMs: number): boolean {
    return this.#ejectedUntilMs > nowMs;
  }

  /** Expected time of an answer in ms (or ms per token); 0 while unknown, so that such a target is tried first. */
  cost(stream: boolean, nowMs: number): number {
    const { cost, seenMs, waiting, begunMs } = stream ? this.#streams : this.#wholes;
    // An idle target's cost decays until one request tries it; its answer decides for the others.
    if (waiting === 0) return cost === 0 ? 0 : cost * Math.exp((seenMs - nowMs) / decayMs);
    // Of calls that take L, those in flight are L/2 old on average; a few of them say less than many.
    const latency = ((2 * waiting) / (waiting + 1)) * (nowMs - begunMs / waiting);
    return Math.max(cost, latency / this.#divisor(stream));
  }

  #divisor(stream: boolean): number {
    return stream || this.#tokens === 0 ? 1 : Math.max(tokensMin, this.#tokens);
  }

  #end(stream: boolean, begunMs: number): Reading {
    const reading = stream ? this.#streams : this.#wholes;
    reading.waiting -= 1;
    reading.begunMs = reading.waiting === 0 ? 0 : reading.begunMs - begunMs;
    return reading;
  }
}

function take(reading: Reading, value: number, nowMs: number): void {
  const kept = value >= reading.cost ? 0 : Math.exp((reading.seenMs - nowMs) / decayMs);
  reading.cost = value + kept * (reading.cost - value);
  reading.seenMs = nowMs;
}
