/**
 * What models are known to refuse, by maker and version: the one table that all dialects go by. A model that no row
 * matches refuses nothing, as far as is known.
 */
import type { RefusedField, Refuses } from '../dialects/refuses.ts';

/** How a maker's names say the version: 405 for 4.5. */
interface Maker {
  /** Captures the major and the minor number. */
  readonly names: RegExp;
  /** Names without a number that mean the newest; undefined: there are none. */
  readonly newest?: RegExp;
}

const makers = {
  // Not gpt-oss, which runs elsewhere, nor names with the owner in front, as other platforms have them. Azure leaves the
  // dot out: gpt-35-turbo.
  gpt: { names: /^(?:ft:)?gpt-(?!oss)(\d)(?:(?:\.|(?<=5)-)?(\d{1,2})(?!\d))?/ },
  o: { names: /^(?:ft:)?o(\d)()/ },
  claude: {
    names: /claude-(?:[a-z]+-)?(\d{1,2})(?!\d)(?:[-.](\d{1,2})(?!\d))?/,
    newest: /claude-[a-z]/,
  },
  gemini: { names: /gemini-(\d+)(?:\.(\d+))?/, newest: /gemini/ },
  grok: { names: /^(?:xai\/)?grok-(\d+)(?:[.-](\d{1,2})(?!\d))?/, newest: /^(?:xai\/)?grok-/ },
  kimi: { names: /^kimi-k(\d+)(?:[.-](\d{1,2})(?!\d))?/ },
} as const satisfies Readonly<Record<string, Maker>>;

/** One row; all that match a model count, later ones first. */
interface Row {
  readonly maker: keyof typeof makers;
  /** The first version it is about; 0 if left out. */
  readonly from?: number;
  /** The first version it is no longer about; left out: none. */
  readonly below?: number;
  readonly only?: RegExp;
  readonly not?: RegExp;
  readonly refuses: Refuses;
  /** The maker's page that says so. */
  readonly docs: string;
}

const openai = 'https://platform.openai.com/docs/guides/reasoning';
const latest = 'https://platform.openai.com/docs/guides/latest-model';
const claude = 'https://platform.claude.com/docs/en/about-claude/models/migration-guide';
const fable = 'https://platform.claude.com/docs/en/models/fable-5-1/migration-guide';
const strict = 'https://platform.claude.com/docs/en/build-with-claude/structured-outputs';
const converse = 'https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html';
const xai = 'https://docs.x.ai/developers/model-capabilities/text/reasoning';
const kimi = 'https://platform.kimi.ai/docs/guide/kimi-k2-5-quickstart';

const gemini = 'https://ai.google.dev/gemini-api/docs/generate-content/whats-new-gemini-3.6';

const penalties = ['frequencyPenalty', 'presencePenalty'] as const;
const sampling: readonly RefusedField[] = ['temperature', 'topP', ...penalties];
/** "Unsupported parameter: 'parallel_tool_calls' is not supported with this model." */
const serially: readonly RefusedField[] = [...sampling, 'parallelToolCalls'];
const unreasoning = /non-reasoning|-chat/;

/** The table. */
export const rows: readonly Row[] = [
  { maker: 'o', refuses: { always: serially, efforts: ['low', 'medium', 'high'] }, docs: openai },
  { maker: 'o', from: 300, refuses: { always: [...serially, 'stop'] }, docs: openai },
  {
    maker: 'gpt',
    from: 500,
    below: 501,
    not: unreasoning,
    refuses: { always: [...sampling, 'stop'], efforts: ['minimal', 'low', 'medium', 'high'] },
    docs: openai,
  },
  { maker: 'gpt', from: 501, refuses: { reasoning: sampling }, docs: latest },
  { maker: 'gpt', from: 501, refuses: { efforts: ['none', 'low', 'medium', 'high'] }, docs: latest },
  { maker: 'gpt', from: 502, refuses: { efforts: ['none', 'low', 'medium', 'high', 'xhigh'] }, docs: latest },
  // "Function tools with reasoning_effort are not supported … use /v1/responses or set reasoning_effort to 'none'".
  { maker: 'gpt', from: 504, refuses: { chatTools: true }, docs: latest },
  {
    maker: 'gpt',
    from: 506,
    refuses: { efforts: ['none', 'low', 'medium', 'high', 'xhigh', 'max'], unsaid: 'medium' },
    docs: latest,
  },
  { maker: 'claude', refuses: { efforts: ['low', 'medium', 'high', 'max'] }, docs: claude },
  {
    maker: 'claude',
    from: 407,
    refuses: {
      always: ['temperature', 'topP', 'topK'],
      efforts: ['low', 'medium', 'high', 'xhigh', 'max'],
    },
    docs: claude,
  },
  // "This model does not support assistant message prefill. The conversation must end with a user message."
  { maker: 'claude', from: 406, refuses: { prefill: true }, docs: claude },
  // "'claude-sonnet-4-20250514' does not support strict tools."
  { maker: 'claude', below: 405, not: /opus-4-1/, refuses: { strictTools: true }, docs: strict },
  // At Bedrock: "tools.0.custom.strict: Extra inputs are not permitted".
  { maker: 'claude', from: 407, only: /anthropic\.claude/, refuses: { strictTools: true }, docs: converse },
  { maker: 'claude', from: 500, only: /fable|mythos/, refuses: { reasonsAlways: true }, docs: fable },
  { maker: 'claude', from: 501, only: /fable|mythos/, refuses: { forcedChoice: true }, docs: fable },
  { maker: 'claude', from: 505, only: /opus/, refuses: { forcedChoice: true }, docs: fable },
  {
    maker: 'gemini',
    from: 205,
    refuses: { always: penalties },
    docs: 'https://ai.google.dev/gemini-api/docs/models',
  },
  // "'minimal' is not a supported thinking level for this model. Allowed values are: medium, low, high."
  {
    maker: 'gemini',
    from: 307,
    not: /flash-lite/,
    refuses: { efforts: ['low', 'medium', 'high'] },
    docs: 'https://docs.cloud.google.com/gemini-enterprise-agent-platform/models/guides/gemini-3-8-flash',
  },
  // "Requests ending with a model turn are not supported."
  { maker: 'gemini', from: 306, refuses: { prefill: true }, docs: gemini },
  { maker: 'gemini', from: 305, only: /flash-lite/, refuses: { prefill: true }, docs: gemini },
  { maker: 'grok', from: 300, below: 400, only: /-mini/, refuses: { efforts: ['low', 'high'] }, docs: xai },
  { maker: 'grok', from: 300, below: 400, not: /-mini/, refuses: { efforts: [] }, docs: xai },
  { maker: 'grok', from: 400, refuses: { efforts: [] }, docs: xai },
  // 4.20 is older than 4.3.
  {
    maker: 'grok',
    from: 403,
    only: /grok-(?!4[.-]20|code|build)/,
    refuses: { efforts: ['none', 'low', 'medium', 'high'] },
    docs: xai,
  },
  {
    maker: 'grok',
    only: /4[.-]20-multi-agent/,
    refuses: { efforts: ['low', 'medium', 'high', 'xhigh'] },
    docs: xai,
  },
  {
    maker: 'grok',
    from: 300,
    only: /grok-(?:3-mini|[4-9]|code|build)/,
    not: unreasoning,
    refuses: { always: [...penalties, 'stop'] },
    docs: xai,
  },
  { maker: 'kimi', from: 205, refuses: { always: sampling }, docs: kimi },
];

/** A number higher than any version. */
const newest = 9999;

/** The version that a name says; null: it isn't the maker's. */
function versionOf({ names, newest: unnumbered }: Maker, model: string): number | null {
  const found = names.exec(model);
  if (found !== null) return Number(found[1]) * 100 + Number(found[2] ?? 0);
  return unnumbered?.test(model) === true ? newest : null;
}

/** What a model refuses, by the name of the model really served; undefined: nothing is known. */
export function refusesOf(model: string): Refuses | undefined {
  const name = model.toLowerCase();
  const found = rows.filter(({ maker, from = 0, below = Number.POSITIVE_INFINITY, only, not }) => {
    const version = versionOf(makers[maker], name);
    if (version === null || version < from || version >= below) return false;
    return only?.test(name) !== false && not?.test(name) !== true;
  });
  return found.length === 0 ? undefined : Object.assign({}, ...found.map(({ refuses }) => refuses));
}
