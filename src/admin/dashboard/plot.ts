/** Line plots over time on a canvas, with a readout below that also serves those who can't see the canvas. */
import { el, styled } from './dom.ts';

/** One line. `null`: no value at that time. */
export interface Series {
  readonly label: string;
  /** Name of a colour of the style sheet. */
  readonly colour: string;
  readonly values: readonly (number | null)[];
}

/** What a plot shows. */
export interface Plot {
  readonly title: string;
  /** When each value was taken, ms since 1970. */
  readonly times: readonly number[];
  readonly series: readonly Series[];
  readonly format: (value: number) => string;
}

const left = 54;
const bottom = 20;
const top = 8;

/** A plot. It is drawn once it has a size, and again when that changes. */
export function plot(shown: Plot): HTMLElement {
  const canvas = el('canvas', { role: 'img' });
  const legend = el('div', { class: 'legend' });
  const draw = (at: number | null): void => {
    drawOn(canvas, shown, at);
    const index = at ?? shown.times.length - 1;
    const items = shown.series.map(({ label, colour, values }) => {
      const value = values[index] ?? null;
      const mark = styled(el('i'), { background: `var(--${colour})` });
      return el('span', {}, mark, `${label} ${value === null ? '–' : shown.format(value)}`);
    });
    const time = new Date(shown.times[index] ?? 0).toLocaleTimeString('en-GB');
    legend.replaceChildren(...items, el('span', {}, time));
    canvas.setAttribute(
      'aria-label',
      `${shown.title}: ${items.map(({ textContent }) => textContent).join(', ')}`,
    );
  };
  canvas.addEventListener('pointermove', (event) => {
    const { left: from, width } = canvas.getBoundingClientRect();
    const share = (event.clientX - from - left) / Math.max(1, width - left);
    const last = shown.times.length - 1;
    draw(Math.min(last, Math.max(0, Math.round(share * last))));
  });
  canvas.addEventListener('pointerleave', () => draw(null));
  new ResizeObserver(() => draw(null)).observe(canvas);
  return el('div', {}, canvas, legend);
}

function drawOn(canvas: HTMLCanvasElement, { times, series, format }: Plot, at: number | null): void {
  const { clientWidth: width, clientHeight: height } = canvas;
  const context = canvas.getContext('2d');
  if (context === null || width === 0) return;
  const scale = window.devicePixelRatio;
  canvas.width = width * scale;
  canvas.height = height * scale;
  context.scale(scale, scale);
  const style = getComputedStyle(canvas);
  const colour = (name: string): string => style.getPropertyValue(`--${name}`);
  const most = nice(Math.max(...series.flatMap(({ values }) => values.map((value) => value ?? 0)), 0));
  const x = (i: number): number => left + ((width - left - 4) * i) / Math.max(1, times.length - 1);
  const y = (value: number): number => top + (height - top - bottom) * (1 - value / most);
  context.font = '11px system-ui';
  context.fillStyle = colour('soft');
  context.strokeStyle = colour('line');
  context.textBaseline = 'middle';
  for (const share of [0, 0.5, 1]) {
    context.textAlign = 'right';
    context.fillText(format(most * share), left - 6, y(most * share));
    line(context, [
      [left, y(most * share)],
      [width, y(most * share)],
    ]);
  }
  context.textBaseline = 'alphabetic';
  for (const share of [0, 0.5, 1]) {
    const i = Math.round(share * (times.length - 1));
    context.textAlign = share === 0 ? 'left' : share === 1 ? 'right' : 'center';
    context.fillText(new Date(times[i] ?? 0).toLocaleTimeString('en-GB'), x(i), height - 5);
  }
  if (at !== null)
    line(context, [
      [x(at), top],
      [x(at), height - bottom],
    ]);
  context.lineWidth = 1.8;
  context.lineJoin = 'round';
  for (const { colour: name, values } of series) {
    context.strokeStyle = colour(name);
    context.fillStyle = colour(name);
    let run: [number, number][] = [];
    const flush = (): void => {
      if (run.length > 1) line(context, run);
      else for (const [px, py] of run) context.fillRect(px - 1.5, py - 1.5, 3, 3);
      run = [];
    };
    values.forEach((value, i) => {
      if (value === null) flush();
      else run.push([x(i), y(value)]);
    });
    flush();
  }
}

function line(context: CanvasRenderingContext2D, points: readonly (readonly [number, number])[]): void {
  context.beginPath();
  for (const [x, y] of points) context.lineTo(x, y);
  context.stroke();
}

/** A round number that is at least as large. */
function nice(value: number): number {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 5, 10].find((step) => step * power >= value) ?? 10) * power;
}
