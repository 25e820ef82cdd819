/** Whatever text a model reads is counted, wherever a request has it. */
import { expect, test } from 'vitest';
import { countPrompt } from '../../src/count/prompt.ts';
import { sampleEndpoint } from '../support/samples.ts';
import { tokenizer } from '../support/tokenizer.ts';

const tokensOf = (text: string): number => tokenizer.encode(text, [], []).length;

/** A text that a prompt can't do without. */
const told = 'What the model reads costs tokens, wherever a request has it. '.repeat(20);
const schema = { type: 'object', properties: { city: { type: 'string', description: told } } };
const asked = (part: object) => ({ messages: [{ role: 'user', content: [part] }] });
const did = (item: object) => ({ input: [{ role: 'user', content: 'x' }, item] });
const turn = (part: object) => ({ contents: [{ role: 'user', parts: [part] }] });
const x = { role: 'user', content: 'x' };

test.each<[string, 'chat' | 'messages' | 'responses' | 'generate', object]>([
  ['a document of text', 'messages', asked({ type: 'document', source: { type: 'text', data: told } })],
  [
    'a document of blocks',
    'messages',
    asked({ type: 'document', source: { type: 'content', content: [{ type: 'text', text: told }] } }),
  ],
  [
    'what is said of a document',
    'messages',
    asked({ type: 'document', context: told, source: { type: 'url', url: 'https://x' } }),
  ],
  [
    "Anthropic's schema of a reply",
    'messages',
    { messages: [x], output_config: { format: { type: 'json_schema', schema } } },
  ],
  [
    "OpenAI's schema of a reply",
    'chat',
    { messages: [x], response_format: { type: 'json_schema', json_schema: { name: 'a', schema } } },
  ],
  ['functions', 'chat', { messages: [x], functions: [{ name: 'a', parameters: schema }] }],
  [
    'the call of a function',
    'chat',
    { messages: [x, { role: 'assistant', content: null, function_call: { name: 'a', arguments: told } }] },
  ],
  [
    'the call of a custom tool',
    'chat',
    {
      messages: [
        x,
        {
          role: 'assistant',
          content: null,
          tool_calls: [{ id: 'c', type: 'custom', custom: { name: 'a', input: told } }],
        },
      ],
    },
  ],
  [
    'reasoning that is handed back',
    'chat',
    { messages: [x, { role: 'assistant', content: '', reasoning_content: told }] },
  ],
  [
    "Responses' call of a custom tool",
    'responses',
    did({ type: 'custom_tool_call', call_id: 'c', name: 'a', input: told }),
  ],
  [
    'a patch',
    'responses',
    did({ type: 'apply_patch_call', call_id: 'c', operation: { type: 'update_file', diff: told } }),
  ],
  ['commands', 'responses', did({ type: 'shell_call', call_id: 'c', action: { commands: [told] } })],
  [
    'what commands gave',
    'responses',
    did({ type: 'shell_call_output', call_id: 'c', output: [{ stdout: told, stderr: '' }] }),
  ],
  [
    "Responses' schema of a reply",
    'responses',
    { input: 'x', text: { format: { type: 'json_schema', name: 'a', schema } } },
  ],
  [
    'a call with underscores',
    'generate',
    turn({ function_response: { name: 'a', response: { output: told } } }),
  ],
  ['code', 'generate', turn({ executableCode: { language: 'PYTHON', code: told } })],
  ['what code gave', 'generate', turn({ codeExecutionResult: { outcome: 'OUTCOME_OK', output: told } })],
  [
    "Gemini's schema of a reply",
    'generate',
    { ...turn({ text: 'x' }), generationConfig: { responseSchema: schema } },
  ],
])('%s is counted', (_, endpoint, body) => {
  const { promptTokens } = countPrompt(sampleEndpoint(endpoint), body, tokensOf);
  expect(promptTokens).toBeGreaterThanOrEqual(tokensOf(told));
  expect(promptTokens).toBeLessThan(tokensOf(told) + 60);
});
