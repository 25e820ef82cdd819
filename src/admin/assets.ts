/** The files of the dashboard's page, read once when first asked for. */
import { readFileSync } from 'node:fs';
import * as module from 'node:module';
import { isSource, placeOf } from '../base/place.ts';

/** A file as it is served. */
export interface Asset {
  readonly type: string;
  readonly body: string;
}

const script = 'text/javascript; charset=utf-8';

/** All files, by path: nothing else of the folder can be asked for. */
const types: ReadonlyMap<string, string> = new Map([
  ['/', 'text/html; charset=utf-8'],
  ['/style.css', 'text/css; charset=utf-8'],
  ['/icon.svg', 'image/svg+xml'],
  ...['main', 'dom', 'format', 'plot', 'requests', 'panels', 'targets', 'limits', 'play', 'data'].map(
    (name) => [`/${name}.js`, script] as const,
  ),
]);

const folder = placeOf('admin/dashboard/');
const known = new Map<string, Asset>();

/** The file of a path; null: there is none. */
export function asset(path: string): Asset | null {
  // The page's modules name each other with `.ts`; types are stripped below.
  const name = isSource ? path.replace(/\.ts$/, '.js') : path;
  const type = types.get(name);
  if (type === undefined) return null;
  const read = known.get(name) ?? { type, body: textOf(name) };
  known.set(name, read);
  return read;
}

function textOf(path: string): string {
  const name = path === '/' ? 'index.html' : path.slice(1);
  if (!isSource || !name.endsWith('.js')) return readFileSync(new URL(name, folder), 'utf8');
  return module.stripTypeScriptTypes(readFileSync(new URL(name.replace(/\.js$/, '.ts'), folder), 'utf8'));
}
