/** Checks the settings of Amazon Bedrock: the keys that sign, and the region they sign for. */
import { defaultRegion, regionOf } from '../dialects/bedrock/region.ts';
import type { Preset } from '../dialects/presets.ts';
import type { DialectName } from '../exchange/dialects.ts';
import type { Path } from './faults.ts';
import { absent, type DraftProvider, once, type Report } from './report.ts';
import { isHeaderSafe } from './syntax.ts';

/** Checks that other providers have none of Bedrock's settings, and Bedrock all that it needs. */
export function checkAws(
  path: Path,
  provider: DraftProvider,
  dialect: DialectName | undefined,
  preset: Preset | undefined,
  report: Report,
): void {
  const { accessKeys, credential, baseUrl } = provider;
  if (dialect !== 'bedrock') {
    if (dialect === undefined) return;
    for (const key of ['accessKeys', 'region'] as const) {
      if (!absent(provider, key))
        report.fault([...path, key], 'has no effect: it applies to providers of dialect bedrock only', 'key');
    }
    if (credential === 'aws')
      report.fault(
        [...path, 'credential'],
        'cannot be `aws`: that applies to providers of dialect bedrock only',
      );
    return;
  }
  if (credential === 'google')
    report.fault([...path, 'credential'], 'cannot be `google`: Bedrock uses AWS keys');
  const signs = credential === 'aws' || !absent(provider, 'accessKeys');
  if (signs) {
    for (const key of ['apiKey', 'apiKeys'] as const) {
      if (absent(provider, key)) continue;
      const other = credential === 'aws' ? '`credential: aws`' : '`accessKeys`';
      report.fault([...path, key], `has no effect together with ${other}: remove one of them`);
    }
  }
  if (credential === 'client' && !absent(provider, 'accessKeys'))
    report.fault(
      [...path, 'accessKeys'],
      'has no effect together with `credential: client`: remove one of them',
    );
  const id = once(report, 'access key');
  accessKeys?.forEach((keys, index) => {
    const at = [...path, 'accessKeys', index];
    id(keys?.id, [...at, 'id']);
    for (const key of ['id', 'sessionToken'] as const) {
      const value = keys?.[key];
      if (value !== undefined && (!isHeaderSafe(value) || value.includes(' ')))
        report.fault(
          [...at, key],
          'contains a space, line break or other character that a header cannot carry',
        );
    }
  });
  const known = baseUrl === undefined ? preset !== undefined : regionOf(baseUrl) !== null;
  if (
    signs &&
    !known &&
    absent(provider, 'region') &&
    (baseUrl !== undefined || absent(provider, 'baseUrl'))
  ) {
    const message = `needs \`region\`, such as ${defaultRegion}: signatures are made for one region, and the base URL names none`;
    report.fault(path, message, 'key');
  }
}
