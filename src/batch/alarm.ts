/** One timer that rings at the earliest time asked for. It never keeps the process alive. */
export class Alarm {
  readonly #clock: () => number;
  readonly #ring: () => void;
  #timer: NodeJS.Timeout | null = null;
  #atMs = 0;

  /** @param clock monotonic ms */
  constructor(clock: () => number, ring: () => void) {
    this.#clock = clock;
    this.#ring = ring;
  }

  /** Rings within `waitMs`: earlier if it was set to an earlier time. */
  setWithin(waitMs: number): void {
    const atMs = this.#clock() + waitMs;
    if (this.#timer !== null && this.#atMs <= atMs) return;
    this.clear();
    this.#atMs = atMs;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#ring();
    }, waitMs);
    this.#timer.unref();
  }

  clear(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}
