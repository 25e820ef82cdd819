/** Reads streams as the gateway hands them over. */
import type { Chunks } from '../../src/exchange/chunks.ts';

/** All chunks in one piece. */
export async function allOf(stream: Pick<Chunks, 'next'>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  const next = (): Promise<Buffer | null> => new Promise((take) => stream.next(take));
  for (let chunk = await next(); chunk !== null; chunk = await next()) chunks.push(chunk);
  return Buffer.concat(chunks);
}
