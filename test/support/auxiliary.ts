/** A sidecar with scripted providers of the auxiliary endpoints, and forms as an SDK writes them. */
import { onTestFinished } from 'vitest';
import { type ConfigInput, startTestSidecar, type TestSidecar } from './sidecar.ts';
import { type Script, startUpstream, type Upstream } from './upstream.ts';

/** Headers of a JSON body. */
export const json = { 'content-type': 'application/json' };

/** A provider that answers with this body. */
export const gives =
  (body: object | string | Buffer, type = 'application/json', status = 200): Script =>
  (call) =>
    call.whole(
      status,
      { 'content-type': type },
      typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body),
    );

/** 300 bytes that are not text. */
export const noise = Buffer.from(Array.from({ length: 300 }, (_, at) => (at * 37) % 256));

/** Starts one scripted provider per list of scripts, and a sidecar in front of them, until the test ends. */
export async function start(
  scripts: readonly (readonly Script[])[],
  more: ConfigInput = {},
): Promise<TestSidecar & { upstreams: readonly Upstream[] }> {
  const upstreams = await Promise.all(scripts.map((each) => startUpstream(...each)));
  const names = ['first', 'second'];
  const sidecar = await startTestSidecar({
    providers: Object.fromEntries(
      upstreams.map(({ baseUrl }, i) => [names[i], { dialect: 'openai' as const, baseUrl }]),
    ),
    routes: [
      { model: 'm', targets: upstreams.map((_, i) => ({ provider: names[i], model: `theirs-${i}` })) },
      { model: 'same', targets: [{ provider: 'first' }] },
      { model: 'omni-moderation-latest', targets: [{ provider: 'first', model: 'judge' }] },
    ],
    attempt: { backoffBaseMs: 0, retriesMax: 1 },
    ...more,
  });
  onTestFinished(async () => {
    await sidecar.stop();
    await Promise.all(upstreams.map((upstream) => upstream.close()));
  });
  return { ...sidecar, upstreams };
}

/** A form as an SDK would write it. */
export function formOf(
  fields: Readonly<Record<string, string>>,
  file: Buffer | null = noise,
  boundary = 'b4711',
) {
  const texts = Object.entries(fields).map(
    ([name, value]) => `--${boundary}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`,
  );
  const head = `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="a.mp3"\r\nContent-Type: audio/mpeg\r\n\r\n`;
  const parts = file === null ? [] : [Buffer.from(head), file, Buffer.from('\r\n')];
  return {
    headers: { 'content-type': `multipart/form-data; boundary=${boundary}` },
    body: Buffer.concat([
      ...texts.map((text) => Buffer.from(text)),
      ...parts,
      Buffer.from(`--${boundary}--\r\n`),
    ]),
  };
}

/** Path of transcriptions. */
export const transcripts = '/v1/audio/transcriptions';

/** A transcription with its usage. */
export const said = {
  text: 'Hello',
  usage: { type: 'tokens', input_tokens: 20, output_tokens: 2, total_tokens: 22 },
};
