/** Tokens of an image, by the rules that providers publish, and its size, read from its first bytes. */
import type { DialectName } from '../exchange/dialects.ts';

/** Pixels. */
export interface ImageSize {
  readonly width: number;
  readonly height: number;
}

/** Size assumed for an image behind a URL, which is never fetched. */
export const assumedSize: ImageSize = { width: 1024, height: 1024 };

/** https://docs.claude.com/en/docs/build-with-claude/vision: larger images are scaled down to these bounds. */
const anthropicEdgeMax = 1568;
const anthropicTokensMax = 1600;
const anthropicPixelsPerToken = 750;

/** https://platform.openai.com/docs/guides/images-vision: a base, and tokens for each tile of 512 pixels. */
const tileRules: readonly (readonly [model: RegExp, base: number, tile: number])[] = [
  [/^gpt-4o-mini/, 2833, 5667],
  [/^(?:o1|o3)/, 75, 150],
  [/^gpt-5/, 70, 140],
];
const [tileBase, tileTokens] = [85, 170];
/** Same page: patches of 32 pixels, weighted. */
const patchRules: readonly (readonly [model: RegExp, weight: number])[] = [
  [/^(?:gpt-4\.1-mini|gpt-5-mini)/, 1.62],
  [/^(?:gpt-4\.1-nano|gpt-5-nano)/, 2.46],
  [/^o4-mini/, 1.72],
];
const patchesMax = 1536;

/** Tokens of one image. @param lowDetail OpenAI's `detail: low` */
export function imageTokens(
  dialect: DialectName,
  model: string,
  { width, height }: ImageSize,
  lowDetail: boolean,
): number {
  if (dialect === 'anthropic') {
    const scale = Math.min(1, anthropicEdgeMax / Math.max(width, height));
    const tokens = Math.ceil((width * scale * height * scale) / anthropicPixelsPerToken);
    return Math.min(anthropicTokensMax, tokens);
  }
  const patch = patchRules.find(([pattern]) => pattern.test(model));
  if (patch !== undefined) return Math.ceil(patches(width, height) * patch[1]);
  const [, base, tile] = tileRules.find(([pattern]) => pattern.test(model)) ?? [null, tileBase, tileTokens];
  return lowDetail ? base : base + tile * tiles(width, height);
}

/** Number of tiles: scaled to fit 2048 × 2048, then the shorter side down to 768, then tiles of 512 × 512. */
function tiles(width: number, height: number): number {
  const fit = Math.min(1, 2048 / Math.max(width, height));
  const scale = fit * Math.min(1, 768 / (Math.min(width, height) * fit));
  return Math.ceil((width * scale) / 512) * Math.ceil((height * scale) / 512);
}

/** Number of patches: if there are too many, scaled down until a whole number fits one side and the bound holds. */
function patches(width: number, height: number): number {
  const all = Math.ceil(width / 32) * Math.ceil(height / 32);
  if (all <= patchesMax) return all;
  const scale = Math.sqrt((32 * 32 * patchesMax) / (width * height));
  const [across, down] = [(width * scale) / 32, (height * scale) / 32];
  const fit = Math.min(Math.floor(across) / across, Math.floor(down) / down);
  // Rounding errors must not add a row.
  return Math.ceil(across * fit - 1e-9) * Math.ceil(down * fit - 1e-9);
}

/** Size of a PNG, JPEG, GIF or WebP; null: another format, or too few bytes. */
export function imageSize(bytes: Buffer): ImageSize | null {
  if (bytes.length < 30) return null;
  if (bytes.readUInt32BE(0) === 0x8950_4e47) return size(bytes.readUInt32BE(16), bytes.readUInt32BE(20));
  const magic = bytes.toString('latin1', 0, 4);
  if (magic === 'GIF8') return size(bytes.readUInt16LE(6), bytes.readUInt16LE(8));
  if (magic === 'RIFF' && bytes.toString('latin1', 8, 12) === 'WEBP') return webpSize(bytes);
  return bytes.readUInt16BE(0) === 0xffd8 ? jpegSize(bytes) : null;
}

const size = (width: number, height: number): ImageSize | null =>
  width > 0 && height > 0 ? { width, height } : null;

/** https://developers.google.com/speed/webp/docs/riff_container */
function webpSize(bytes: Buffer): ImageSize | null {
  const chunk = bytes.toString('latin1', 12, 16);
  if (chunk === 'VP8 ') return size(bytes.readUInt16LE(26) & 0x3fff, bytes.readUInt16LE(28) & 0x3fff);
  if (chunk === 'VP8X') return size(bytes.readUIntLE(24, 3) + 1, bytes.readUIntLE(27, 3) + 1);
  if (chunk !== 'VP8L') return null;
  const bits = bytes.readUInt32LE(21);
  return size((bits & 0x3fff) + 1, ((bits >>> 14) & 0x3fff) + 1);
}

/** ITU T.81: segments follow each other up to the frame header (SOF), which states the size. */
function jpegSize(bytes: Buffer): ImageSize | null {
  let at = 2;
  while (at + 9 < bytes.length && bytes[at] === 0xff) {
    const marker = bytes[at + 1] ?? 0;
    const frame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
    if (frame) return size(bytes.readUInt16BE(at + 7), bytes.readUInt16BE(at + 5));
    // A fill byte may precede a marker.
    at += marker === 0xff ? 1 : 2 + bytes.readUInt16BE(at + 2);
  }
  return null;
}
