/** Finds the text of a reply that was cut off. */

/** The model's text in a reply that may be truncated anywhere, found by the field names that all dialects share. */
export function cutText(body: string): string {
  const texts = /"(?:text|refusal|arguments)"\s*:\s*"((?:[^"\\]|\\(?:u[0-9a-fA-F]{4}|["\\/bfnrt]))*)/g;
  return Array.from(body.matchAll(texts), ([, raw = '']) => stringOf(raw)).join('');
}

/** Decodes a JSON string; some providers send line breaks and the like unescaped. */
function stringOf(raw: string): string {
  try {
    return String(JSON.parse(`"${raw}"`));
  } catch {
    return raw;
  }
}
