/** Conversations whose last questions are alike: those that went the same way until then, and those that didn't. */
import { choose, chooseOther, type Family, fill, readFamilies } from './groups.ts';
import { type Random, seeded } from './random.ts';

interface Message {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string;
}

/** A pair as `eval.ts` reads it. */
export interface TalkPair {
  readonly cached: readonly Message[];
  readonly asked: readonly Message[];
  readonly same: boolean;
}

/** Questions that mean something only after what was said before. */
const followUps = [
  ['How much is it?', 'What does it cost?', 'And the price?'],
  ['Why is that?', "What's the reason for that?", 'How come?'],
  ['How long does it take?', 'How much time does that need?', 'And how long is it?'],
  ['Can I change it later?', 'Is it possible to change that afterwards?', 'May it be changed later on?'],
  ['What about the second one?', 'And the second?', 'How about number two?'],
  ['Can you explain that again?', 'Please explain it once more', "I don't get it, explain again"],
  ['Is there a cheaper option?', 'Anything less expensive?', 'Do you have something cheaper?'],
  ['And what if I am under 18?', "What if I'm younger than 18?", 'Does that hold below 18 too?'],
] as const;

function talk(
  family: Family,
  line: readonly string[],
  last: string,
  random: Random,
  other = false,
): Message[] {
  const values = choose(family, line, random);
  const mine = (other ? chooseOther(family, values, random) : null) ?? values;
  const first = fill(line[0] ?? '', mine, random);
  return [
    { role: 'system', content: 'You answer customers of a company, briefly and politely.' },
    { role: 'user', content: first },
    { role: 'assistant', content: `Gladly. Here is what I know about "${first}"` },
    { role: 'user', content: last },
  ];
}

/** Four pairs a family: the last question reworded after the same talk; the same one after another talk, thrice. */
export function talkPairs(seed: number): TalkPair[] {
  const random = seeded(seed);
  const families = readFamilies().filter((family) => family.lines.length > 1);
  return families.flatMap((family) => {
    const [line = [], sibling = []] = random.shuffle(family.lines);
    const [a = '', b = ''] = random.shuffle(random.pick(followUps));
    const start = talk(family, line, a, random);
    const foreign = random.pick(families);
    const trap = (asked: readonly Message[]): TalkPair => ({ cached: start, asked, same: false });
    const swapped = start.map((message) =>
      message.role === 'system' ? { ...message, content: 'You answer staff of a company.' } : message,
    );
    const reworded: readonly Message[] = [...start.slice(0, -1), { role: 'user', content: b }];
    return [
      { cached: start, asked: reworded, same: true },
      trap(talk(family, sibling, a, random)),
      trap(talk(foreign, random.pick(foreign.lines), a, random, true)),
      trap(swapped),
    ].filter(({ cached, asked, same }) => same || JSON.stringify(cached) !== JSON.stringify(asked));
  });
}
