/** Normal forms of questions, and whether two replies say the same. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { agree, spokenText } from '../../src/cache/agree.ts';
import { normalForm } from '../../src/cache/normal.ts';

describe('normal form', () => {
  test.each([
    ['What are your business hours?', 'what are your business hours'],
    ['what are  your business hours', 'Hi, what are your business hours? Thanks!'],
    ['What are your business hours', 'please, what are your business hours ??'],
    ['What are your business hours', 'Good morning. Please, what are your business hours, please?'],
    ['Hi there, what are your hours?', 'Hello! What are your hours?!'],
    ['please help me', 'Help me, thanks!'],
    ['Where is it', 'Where is it? Please. Thank you.'],
    ['Is 100% possible?', 'is 100% possible'],
    ['Hi,how do I log in?', 'how do I log in'],
    ['Hello. How do you say dog in French? Thanks!', 'how do you say dog in French'],
    ['How do I log in?\n', 'how do I log in'],
  ])('%j is %j', (one, other) => expect(normalForm(one)).toBe(normalForm(other)));

  test.each([
    ['Is the US safe?', 'is the us safe?'],
    ['Order 12', 'Order 1 2'],
    ['a\n  b', 'a\n b'],
    ['print `a  b`', 'print `a b`'],
    ['count the spaces in "a  b"', 'count the spaces in "a b"'],
    ['Say "thanks" to her', 'Say to her'],
    ['WORLD peace', 'world peace'],
    // Courtesy that is asked about.
    ['What is the German word for please?', 'What is the German word for thanks?'],
    ['What is the German word for thanks?', 'What is the German word for cheers?'],
    ['What is the German word for cheers?', 'What is the German word for'],
    ['How do you say yes, please?', 'How do you say yes?'],
    ['What is German for please, thanks?', 'What is German for please?'],
    ['Translate: good evening, thanks', 'Translate: good evening'],
    ['Hello world in Java', 'World in Java'],
    ['Hello, how are you in Spanish?', 'How are you in Spanish?'],
    ['Good evening, how do you say it?', 'How do you say it?'],
    ['How do you say I am fine, thanks?', 'How do you say I am fine?'],
    ['Translate I am fine, thanks', 'Translate I am fine'],
    ['Please meaning in Hindi', 'meaning in Hindi'],
    ['Please in Spanish?', 'in Spanish?'],
    // Names of files, and what stands in code.
    ['hello!world', 'world'],
    ["hi.js won't compile", "hello.js won't compile"],
    // What is quoted, and code, to its edges.
    ["count the spaces in 'a  b'", "count the spaces in 'a b'"],
    ['  a: 1\n  b: 2', 'a: 1\n  b: 2'],
    ['print("a")\n', 'print("a")'],
    ['Explain \\d?', 'Explain \\d'],
    ['Explain (?=x?', 'Explain (?=x'],
    ['Explain $x?', 'Explain $x'],
    ['What does it.thanks do in obj.thanks', 'What does it.thanks do in obj'],
    ['Hello!', 'Thanks!'],
    ['Please', 'Thanks'],
    // Marks that change what is asked.
    ['What is 5!', 'What is 5?'],
    ['What is 5!?', 'What is 5?'],
    ["Explain Ruby's sort!", "Explain Ruby's sort"],
    ['What is is_valid?', 'What is is_valid'],
    ['What does this match: a.*?', 'What does this match: a.*'],
    ['Explain a.*?', 'Explain a.*'],
    ['You are coming.', 'You are coming?'],
    ['Fix the punctuation: Are you coming.', 'Fix the punctuation: Are you coming?'],
    ['Fix the punctuation: Are you coming', 'Fix the punctuation: Are you coming?'],
  ])('%j is not %j', (one, other) => expect(normalForm(one)).not.toBe(normalForm(other)));

  test('it is its own normal form, and keeps all words in between', () => {
    const word = fc.stringMatching(/^[a-z0-9]{1,6}$/);
    fc.assert(
      fc.property(fc.array(word, { minLength: 1, maxLength: 8 }), (words) => {
        const form = normalForm(`${words.join(' ')}?`);
        expect(normalForm(form)).toBe(form);
        expect(normalForm(`  ${words.join('  ')} ?!`)).toBe(form);
        expect(words.join(' ')).toContain(form);
      }),
    );
  });
});

describe('two answers', () => {
  test.each([
    ['We open at 9 and close at 17.', 'we open at 9, and close at 17'],
    ['You can change it under Settings, Profile.', 'You can change it under Profile, in Settings.'],
    ['Open **Settings**, then choose "Profile".', '- Open Settings,\n- then choose Profile'],
    ['Click `Save` to keep your changes.', 'To keep your changes, just click `Save`.'],
    ['Yes, dogs are welcome in all rooms.', 'Yes, dogs are welcome in all of our rooms.'],
    ['您可以在设置中更改密码。', '您可以在设置中更改密码'],
    ['The π symbol is a Greek letter that you often see.', 'The π symbol is a Greek letter you often see.'],
    [
      'To cancel your subscription, go to Settings, open Billing and click Cancel. You keep access until the period ends.',
      'You can cancel your subscription in Settings: open Billing and click Cancel. Access stays until the period ends.',
    ],
  ])('%j says what %j says', (one, other) => expect(agree(one, other)).toBe(true));

  test.each([
    ['We open at 9.', 'We open at 10.'],
    ['You can cancel it.', "You can't cancel it."],
    ['It opens on Monday.', 'It opens on Tuesday.'],
    ['It is legal to park here.', 'It is illegal to park here.'],
    [
      'Turn left at the church and follow the road until you see the hotel.',
      'Turn right at the church and follow the road until you see the hotel.',
    ],
    ['It is delivered by DHL within five working days.', 'It is delivered by DHL within ten working days.'],
    ['The limit is 5 kg per bag.', 'The limit is 5 lb per bag.'],
    ['You can collect your parcel in our shop in Rome.', 'You can collect your parcel in our shop in Milan.'],
    ['Use `ls -l`.', 'Use `ls -a`.'],
    ['x < y', 'x > y'],
    ['It is -5 degrees.', 'It is 5 degrees.'],
    [
      `${'Some words that are the same. '.repeat(30)}It is safe.`,
      `${'Some words that are the same. '.repeat(30)}It is unsafe.`,
    ],
    ['The capital of France is Paris.', 'Bananas are rich in potassium.'],
    // In other languages.
    ['您可以在设置中更改密码。', '您好，您可以在设置中更改密码。谢谢！'],
    ['我的订单在哪里？', '你好，我的订单在哪里？谢谢！'],
    ['Заказ можно вернуть.', 'Заказ нельзя вернуть.'],
    ['يمكنك إلغاء الطلب', 'لا يمكنك إلغاء الطلب'],
    ['주문을 취소할 수 있습니다.', '주문을 취소할 수 없습니다.'],
    ['キャンセルできます。', 'キャンセルできません。'],
    ['Vous pouvez annuler la commande.', 'Vous ne pouvez pas annuler la commande.'],
    ["Vous avez annulé la commande d'hier.", "Vous n'avez pas annulé la commande d'hier."],
    ['', ''],
  ])('%j says something else than %j', (one, other) => expect(agree(one, other)).toBe(false));

  test.each([
    ['{"choices":[{"message":{"role":"assistant","content":"Hello"}}]}', false, 'Hello'],
    ['{"content":[{"type":"text","text":"Hel"},{"type":"text","text":"lo"}]}', false, 'Hello'],
    [
      'data: {"choices":[{"delta":{"content":"Hel"}}]}\n\ndata: {"choices":[{"delta":{"content":"lo"}}]}\n\ndata: [DONE]\n\n',
      true,
      'Hello',
    ],
    ['event: x\ndata: {"type":"response.output_text.delta","delta":"Hello"}\n\n', true, 'Hello'],
    ['no JSON', false, ''],
  ])('%j says %s', (body, stream, text) => expect(spokenText(Buffer.from(body), stream)).toBe(text));
});
