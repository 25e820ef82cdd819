/** Settings of Amazon Bedrock: keys that sign, and the region they sign for. */
import { defaultRegion, regionOf } from '../dialects/bedrock/region.ts';
import type { Preset } from '../dialects/presets.ts';
import type { DialectName } from '../exchange/dialects.ts';
import type { Path } from './faults.ts';
import { absent, type DraftProvider, once, type Report } from './report.ts';
import { isHeaderSafe } from './syntax.ts';

/** What only Bedrock has, and whether it has all it needs. */
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
        report.fault([...path, key], 'has no use: only providers of dialect bedrock have it', 'key');
    }
    if (credential === 'aws')
      report.fault([...path, 'credential'], 'cannot be `aws`: only providers of dialect bedrock take it');
    return;
  }
  if (credential === 'google')
    report.fault([...path, 'credential'], 'cannot be `google`: Bedrock takes keys of AWS');
  const signs = credential === 'aws' || !absent(provider, 'accessKeys');
  if (signs) {
    for (const key of ['apiKey', 'apiKeys'] as const) {
      if (absent(provider, key)) continue;
      const other = credential === 'aws' ? '`credential: aws`' : '`accessKeys`';
      report.fault([...path, key], `has no use beside ${other}: take one of them out`);
    }
  }
  if (credential === 'client' && !absent(provider, 'accessKeys'))
    report.fault([...path, 'accessKeys'], 'has no use beside `credential: client`: take one of them out');
  const id = once(report, 'this access key');
  accessKeys?.forEach((keys, index) => {
    const at = [...path, 'accessKeys', index];
    id(keys?.id, [...at, 'id']);
    for (const key of ['id', 'sessionToken'] as const) {
      const value = keys?.[key];
      if (value !== undefined && !isHeaderSafe(value))
        report.fault([...at, key], 'holds a space, line break or other character no header can carry');
    }
  });
  const known = baseUrl === undefined ? preset !== undefined : regionOf(baseUrl) !== null;
  if (
    signs &&
    !known &&
    absent(provider, 'region') &&
    (baseUrl !== undefined || absent(provider, 'baseUrl'))
  ) {
    const message = `needs \`region\`: its base URL names none, and a signature holds for one, such as ${defaultRegion}`;
    report.fault(path, message, 'key');
  }
}
