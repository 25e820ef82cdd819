/** The simulator's parts: scenarios, settings, the command, text, requests of any kind. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Json } from '../../src/base/json.ts';
import { simulate } from '../../src/commands/simulate.ts';
import { answer } from '../../src/simulate/answer.ts';
import { anthropicBody, anthropicSteps } from '../../src/simulate/anthropic.ts';
import { readMessagesRequest } from '../../src/simulate/anthropic-request.ts';
import { embeddingsBody, readEmbeddings } from '../../src/simulate/embeddings.ts';
import { Rejection } from '../../src/simulate/errors.ts';
import type { Asked } from '../../src/simulate/exchange.ts';
import { openaiBody, openaiSteps } from '../../src/simulate/openai.ts';
import { readChat } from '../../src/simulate/openai-request.ts';
import { generator } from '../../src/simulate/random.ts';
import { baseScenario, faultDraw, override, takeLine } from '../../src/simulate/scenario.ts';
import { simulateSchema } from '../../src/simulate/settings.ts';
import { countTokens, fill, gist, mentions, tokens } from '../../src/simulate/text.ts';
import { cpuMs } from '../support/time.ts';

describe('scenarios', () => {
  const base = baseScenario(simulateSchema.parse({ fault: 'server_error', failureRate: 0.25 }));

  test('are changed by pairs; an invalid pair is explained', () => {
    expect(override(base, 'ttftMs=50, tokensPerSecond=12.5;seed=7 replyTokens=3-9')).toMatchObject({
      ttftMs: 50,
      tokensPerSecond: 12.5,
      seed: 7,
      replyTokens: { min: 3, max: 9 },
      fault: 'server_error',
      failureRate: 0.25,
    });
    expect(override(base, 'fault=overloaded')).toMatchObject({ fault: 'overloaded', failureRate: 1 });
    expect(override(base, 'fault=none')).toMatchObject({ fault: null });
    expect(override(base, 'call=mcp__a-b')).toMatchObject({ call: 'mcp__a-b' });
    expect(override(base, 'fault=slow_headers, delayMs=30')).toMatchObject({ holdMs: 30, delayMs: null });
    const wrong = [
      'fault=meteor',
      'ttftMs=-1',
      'ttftMs=1e3',
      'jitter=2',
      'x',
      '=1',
      'seed=1,seed=2',
      'replyTokens=9-3',
      'retryHint=x',
      'seed=1.5',
      'call=',
      '__proto__=1',
    ];
    for (const text of wrong) expect(override(base, text), text).toBeTypeOf('string');
  });

  test('come from a line of the message only if it has their form', () => {
    expect(takeLine('Hi\nsimulate: fault=stall, holdMs=9\nBye')).toEqual({
      pairs: 'fault=stall, holdMs=9',
      rest: 'Hi\nBye',
    });
    expect(takeLine('Please simulate: fault=stall')).toBeNull();
    expect(takeLine('simulate: a rainy day')).toBeNull();
  });

  test('fail the same share of requests in the same order', () => {
    const run = () => {
      const draw = faultDraw();
      return Array.from({ length: 4000 }, () => draw(base, 'r'));
    };
    const failed = run();
    expect(run()).toEqual(failed);
    const share = failed.filter((fault) => fault !== null).length / failed.length;
    expect(share).toBeGreaterThan(0.22);
    expect(share).toBeLessThan(0.28);
  });

  test('have checked settings', () => {
    expect(simulateSchema.parse({})).toMatchObject({
      seed: 1,
      ttftMs: 0,
      replyTokens: 64,
      models: [],
      failureRate: 1,
    });
    for (const bad of [
      { x: 1 },
      { jitter: 2 },
      { fault: 'meteor' },
      { replyTokens: { min: 9, max: 3 } },
      { seed: 1.5 },
    ]) {
      expect(simulateSchema.safeParse(bad).success, JSON.stringify(bad)).toBe(false);
    }
  });
});

describe('the command', () => {
  function shell() {
    const seen = { out: '', errors: '' };
    let stop: (() => void) | undefined;
    let ready: (() => void) | undefined;
    const started = new Promise<void>((resolve) => {
      ready = resolve;
    });
    const wiring = {
      env: {},
      print(text: string) {
        seen.out += text;
        ready?.();
      },
      printError: (text: string) => {
        seen.errors += text;
      },
      terminal: false,
      onSignal: (_: string, handler: () => void) => {
        stop = handler;
      },
    };
    return { wiring, seen, started, stop: () => stop?.() };
  }

  test('serves until a signal, with the settings of a file', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sidegate-'));
    const file = join(folder, 'simulate.yaml');
    writeFileSync(file, 'models: [only-this]\nreplyTokens: {min: 5, max: 9}\n');
    const { wiring, seen, started, stop } = shell();
    const exit = simulate(['--port', '0', '--config', file], wiring);
    await started;
    const url = /http:\/\/127\.0\.0\.1:\d+/.exec(seen.out)?.[0];
    const listed = await (await fetch(`${url}/v1/models`)).text();
    expect(listed).toContain('only-this');
    stop();
    expect(await exit).toBe(0);
    await expect(fetch(`${url}/v1/models`)).rejects.toThrow();
    writeFileSync(file, 'ttft: 5\nseed: many\n');
    await expect(simulate(['--config', file], wiring)).rejects.toThrow(
      /seed: .*[\s\S]*Unrecognized key: "ttft"/,
    );
    rmSync(folder, { recursive: true });
  });

  test('refuses an invalid port', async () => {
    const { wiring, seen } = shell();
    expect(await simulate(['--port', '99999'], wiring)).toBe(2);
    expect(seen.errors).toContain('0 to 65535');
  });
});

describe('requests of any kind', () => {
  const schema = {
    type: 'object',
    properties: { a: { type: 'array', items: { enum: [1, 2] }, minItems: 1 } },
  };
  const image = { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } };
  const call = { id: 'c', type: 'function', function: { name: 'f', arguments: '{}' } };
  const chat = {
    model: 'm',
    messages: [
      { role: 'user', content: [{ type: 'text', text: 'call f\nsimulate: seed=2' }, image] },
      { role: 'assistant', tool_calls: [call] },
      { role: 'tool', tool_call_id: 'c', content: 'done' },
      { role: 'user', content: 'call f again' },
    ],
    tools: [{ type: 'function', function: { name: 'f', parameters: schema } }],
    tool_choice: { type: 'function', function: { name: 'f' } },
    response_format: { type: 'json_schema', json_schema: { name: 'x', schema } },
    stop: ['x'],
    n: 2,
    max_tokens: 9,
    stream: true,
    stream_options: { include_usage: true },
  };
  const messages = {
    model: 'm',
    max_tokens: 3000,
    system: [{ type: 'text', text: 'Be kind.' }],
    messages: [
      { role: 'user', content: [{ type: 'image', source: { type: 'base64', data: 'AAAA' } }] },
      { role: 'assistant', content: [{ type: 'tool_use', id: 't', name: 'f', input: { a: [1] } }] },
      {
        role: 'user',
        content: [{ type: 'tool_result', tool_use_id: 't', content: [{ type: 'text', text: 'ok' }] }],
      },
      // With thinking, a turn that is amid calls of tools must have begun with it.
      { role: 'assistant', content: [{ type: 'text', text: 'Done.' }] },
      { role: 'user', content: 'Go on.' },
    ],
    tools: [{ name: 'f', input_schema: schema }],
    tool_choice: { type: 'auto' },
    thinking: { type: 'enabled', budget_tokens: 2000 },
    stop_sequences: ['x'],
    output_config: { format: { type: 'json_schema', schema } },
  };
  const embeddings = { model: 'm', input: ['a', 'b'], dimensions: 8, encoding_format: 'base64' };

  /** Every member of a document, as its object and key. */
  function places(value: unknown): { holder: Record<string, unknown>; key: string }[] {
    if (typeof value !== 'object' || value === null) return [];
    const holder = value as Record<string, unknown>;
    return Object.keys(holder).flatMap((key) => [{ holder, key }, ...places(holder[key])]);
  }

  const scenario = baseScenario(simulateSchema.parse({}));
  function spell(asked: Asked): void {
    const reply = { asked, ...answer(asked, scenario), withUsage: true };
    for (const text of [openaiBody(reply), anthropicBody(reply)]) JSON.parse(text);
    const steps = [...openaiSteps(reply), ...anthropicSteps(reply)];
    for (const { text } of steps) expect(text.endsWith('\n\n')).toBe(true);
    for (const one of reply.answers) expect(one.outputTokens).toBeLessThanOrEqual(asked.outputMax);
  }
  const readers: [string, object, (body: Json) => unknown][] = [
    ['chat', chat, (body) => spell(readChat(body))],
    ['messages', messages, (body) => spell(readMessagesRequest(body, false))],
    ['embeddings', embeddings, (body) => embeddingsBody(readEmbeddings(body), 1, true)],
  ];
  const odd = fc.oneof(
    fc.constantFrom<unknown>(null, true, 0, 1, -1, 0.5, 1e9, '', 'text', 'tool', [], {}, [null], ['a'], {
      type: 'x',
    }),
    fc.jsonValue({ maxDepth: 2 }),
  );

  test.each(readers)('%s: are answered or refused, never a crash', (_, whole, read) => {
    expect(() => read(whole as Json)).not.toThrow();
    const counts = { answered: 0, refused: 0 };
    fc.assert(
      fc.property(fc.nat(), odd, (at, value) => {
        const body = structuredClone(whole);
        const all = places(body);
        const place = all[at % all.length];
        if (place !== undefined) place.holder[place.key] = value;
        try {
          read(body as Json);
          counts.answered++;
        } catch (error) {
          if (!(error instanceof Rejection)) throw error;
          counts.refused++;
        }
      }),
      { numRuns: 2000 },
    );
    expect(Math.min(counts.answered, counts.refused)).toBeGreaterThan(100);
  });
});

describe('text', () => {
  test('tokens join to the text again, and their number is the one counted', () => {
    const text = fc.string({
      unit: fc.constantFrom('a', 'bc', ' ', '\n', '😀', 'é', '漢', '"'),
      maxLength: 60,
    });
    fc.assert(
      fc.property(text, (given) => {
        expect(tokens(given).join('')).toBe(given);
        expect(countTokens(given)).toBe(tokens(given).length);
        for (const token of tokens(given)) expect(token.isWellFormed()).toBe(true);
      }),
    );
  });

  test('filler has the requested length and ends with a whole sentence', () => {
    for (let length = 20; length < 300; length++) {
      const pieces = fill(tokens('To begin with.'), length, generator(length));
      expect(pieces).toHaveLength(length);
      expect(pieces.join('')).toMatch(/[a-z]\.$/);
    }
    expect(fill(tokens('One two, three four'), 2, generator(1)).join('')).toBe('One two.');
  });

  test('the gist is one short line, and finding mentions takes no time on hostile text', () => {
    expect(gist(`a\n\n b${' word'.repeat(100)}`)).toMatch(/^a b word.{50,110}\.\.\.$/);
    const texts = ['a'.repeat(1e6), '1 '.repeat(1e6), '[A_'.repeat(1e6), 'a@b.'.repeat(1e6)];
    expect(cpuMs(() => texts.forEach(mentions))).toBeLessThan(1000);
  });
});
