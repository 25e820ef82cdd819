/**
 * Takes the dashboard's pictures in `docs/images`: `npm run screenshots`. It runs the program with the simulator, three
 * teams and a provider in trouble, sends requests for a minute, and opens each view in Debian's Chromium.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Browser, chromium } from 'playwright-core';
import { stringify } from 'yaml';

const root = fileURLToPath(new URL('..', import.meta.url));
const images = join(root, 'docs', 'images');
const executablePath = process.env.SIDEGATE_CHROMIUM ?? '/usr/bin/chromium';
const loadMs = 60_000;
const everyMs = 60;
const token = 'token-for-the-pictures';

const teams = ['web', 'search', 'support'];
const keyOf = (team: string): string => `key-of-${team}`;
const simulated = (pace: object): object => ({ preset: 'simulator', simulate: { jitter: 0.4, ...pace } });

const config = {
  listen: { port: 0 },
  admin: { port: 0, token },
  authenticate: {
    keys: teams.map((team) => ({
      id: `${team}-app`,
      sha256: createHash('sha256').update(keyOf(team)).digest('hex'),
      tenant: 'acme',
      team,
    })),
  },
  observe: { recent: 3000 },
  limits: [{ name: 'per-team', capacity: 400, refillPerSecond: 5, per: ['team'] }],
  budgets: [{ name: 'daily', usd: 0.5, window: 'day', per: ['team'] }],
  providers: {
    fast: simulated({ ttftMs: 110, tokensPerSecond: 400 }),
    large: simulated({ ttftMs: 300, tokensPerSecond: 150 }),
    flaky: simulated({ ttftMs: 90, tokensPerSecond: 400, fault: 'server_error', failureRate: 0.9 }),
  },
  catalog: {
    models: [
      { provider: 'fast', model: '*', inputUsdPerMTok: 0.5, outputUsdPerMTok: 2 },
      { provider: 'flaky', model: '*', inputUsdPerMTok: 0.4, outputUsdPerMTok: 1.6 },
      { provider: 'large', model: '*', inputUsdPerMTok: 3, outputUsdPerMTok: 12 },
    ],
  },
  routes: [
    {
      model: 'chat',
      targets: [
        { provider: 'flaky', model: 'gpt-flaky' },
        { provider: 'fast', model: 'gpt-fast' },
      ],
    },
    {
      model: 'auto',
      strategy: 'cost',
      targets: [
        { provider: 'fast', model: 'gpt-fast', tier: 'simple' },
        { provider: 'fast', model: 'gpt-good', tier: 'moderate' },
        { provider: 'large', model: 'gpt-large', tier: 'complex' },
      ],
    },
  ],
  attempt: { breaker: { cooldownMs: 20_000 } },
};

/** Starts the program. */
async function start(folder: string): Promise<{ url: string; adminUrl: string; stop(): void }> {
  const path = join(folder, 'sidegate.yaml');
  writeFileSync(path, stringify(config));
  const child = spawn(process.execPath, [join(root, 'dist', 'main.js'), 'run', '--config', path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ports = await new Promise<RegExpExecArray>((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`the program ended with ${code}`)));
    let text = '';
    child.stdout.on('data', (chunk: Buffer) => {
      if (text.length < 16_384) text += chunk;
      const found = /"data":"([^"]+)","admin":"([^"]+)"/.exec(text);
      if (found !== null) resolve(found);
    });
  });
  return { url: ports[1] ?? '', adminUrl: ports[2] ?? '', stop: () => child.kill() };
}

const topics = ['gates', 'rivers', 'invoices', 'ships', 'tides', 'letters'];

/** Sends one request of a mix: streams, repeats, personal data, a model that isn't there. */
async function send(url: string, i: number): Promise<void> {
  const team = teams[i % 7 < 4 ? 0 : i % 7 < 6 ? 1 : 2] ?? '';
  const topic = i % 5 === 0 ? topics[0] : `${topics[i % topics.length]} ${i}`;
  const body = {
    model: i % 40 === 0 ? 'nothing' : i % 3 === 0 ? 'auto' : 'chat',
    stream: i % 2 === 0,
    messages: [{ role: 'user', content: `Write to ann@example.com about ${topic}.` }],
  };
  const headers = {
    'content-type': 'application/json',
    authorization: `Bearer ${keyOf(team)}`,
    traceparent: `00-${createHash('md5').update(String(i)).digest('hex')}-00f067aa0ba902b7-00`,
    ...(i % 6 === 0 ? { 'x-sidegate-tier': 'complex' } : {}),
  };
  const reply = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers,
    body: JSON.stringify(body),
  });
  await reply.arrayBuffer();
}

/** A picture: a view, in one look. */
interface Picture {
  readonly name: string;
  readonly hash: string;
  readonly dark?: boolean;
  readonly narrow?: boolean;
  /** Of the page; undefined: all of it. */
  readonly height?: number;
}

const pictures: readonly Picture[] = [
  { name: 'dashboard-dark', hash: '', dark: true },
  { name: 'dashboard-light', hash: '', height: 860 },
  { name: 'dashboard-limits', hash: 'limits' },
  { name: 'dashboard-targets', hash: 'targets', dark: true },
  { name: 'dashboard-playground', hash: `token=${encodeURIComponent(token)}`, dark: true, height: 520 },
  { name: 'dashboard-request', hash: 'request' },
  { name: 'dashboard-phone-dark', hash: '', dark: true, narrow: true, height: 844 },
  { name: 'dashboard-phone-light', hash: 'requests', narrow: true, height: 844 },
];

async function take(browser: Browser, adminUrl: string, picture: Picture): Promise<Buffer> {
  const { name, hash, dark = false, narrow = false, height } = picture;
  // A full page is at least as high as the window.
  const viewport = { width: narrow ? 390 : 1300, height: height ?? 300 };
  const page = await browser.newPage({ viewport, colorScheme: dark ? 'dark' : 'light' });
  const stories = (await fetch(`${adminUrl}/api/requests`).then((reply) => reply.json())) as {
    requestId: string;
    steps: unknown[];
    stream: boolean;
    status: number;
  }[];
  // A stream whose first target failed, or was skipped.
  const shown = stories.findLast(({ steps, stream, status }) => steps.length > 1 && stream && status === 200);
  await page.goto(`${adminUrl}/#${hash === 'request' ? `request/${shown?.requestId}` : hash}`);
  await page.waitForSelector('#live.on');
  if (name === 'dashboard-playground') {
    await page.goto(`${adminUrl}/#playground`);
    await page.locator('#key').fill(keyOf('support'));
    await page.locator('button.main').click();
    await page.locator('text=its story').waitFor();
  }
  // Plots are drawn with the next event.
  await sleep(1500);
  const image = await page.screenshot({ fullPage: height === undefined });
  await page.close();
  return image;
}

/** PNG as WebP, by the browser. */
async function webp(browser: Browser, png: Buffer): Promise<Buffer> {
  const page = await browser.newPage();
  const text = await page.evaluate(
    `(async () => {
      const image = new Image();
      image.src = 'data:image/png;base64,${png.toString('base64')}';
      await image.decode();
      const canvas = Object.assign(document.createElement('canvas'), { width: image.width, height: image.height });
      canvas.getContext('2d').drawImage(image, 0, 0);
      return canvas.toDataURL('image/webp', 0.85).split(',')[1];
    })()`,
  );
  await page.close();
  return Buffer.from(String(text), 'base64');
}

const folder = mkdtempSync(join(tmpdir(), 'sidegate-screenshots-'));
const sidecar = await start(folder);
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
try {
  let i = 0;
  const timer = setInterval(() => void send(sidecar.url, i++).catch(() => {}), everyMs);
  await sleep(loadMs);
  for (const picture of pictures) {
    const png = await take(browser, sidecar.adminUrl, picture);
    writeFileSync(join(images, `${picture.name}.webp`), await webp(browser, png));
    console.log(`docs/images/${picture.name}.webp`);
  }
  clearInterval(timer);
} finally {
  await browser.close();
  sidecar.stop();
  rmSync(folder, { recursive: true, force: true });
}
