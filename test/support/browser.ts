/** A real browser for tests: Debian's Chromium, driven over its protocol. */
import { type Browser, chromium } from 'playwright-core';

/** Where Debian and others put it. `prepare.mjs --tests` installs it. */
const executable = process.env.SIDEGATE_CHROMIUM ?? '/usr/bin/chromium';

/** Starts it. Rejects if it isn't installed: a test of pages must not pass without a browser. */
export const startBrowser = (): Promise<Browser> =>
  chromium.launch({ executablePath: executable, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
