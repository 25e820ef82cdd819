/** The table of SDKs: what each was tried with before each provider, from the lists that the tests go through. */
import {
  type CaseName,
  type ClientName,
  caseNames,
  cases,
  clientNames,
  type Exception,
  exceptionOf,
  exceptions,
  stagesOf,
} from '../test/dialects/sdk/list.ts';
import { providersOn, type Stage, stages } from '../test/dialects/simulators.ts';

/** Every provider that at least one stage has. */
export const sdkProviders = [...new Set(stages.flatMap((stage) => providersOn[stage]))];

/** Cases of a stage. */
const casesOn = (stage: Stage): CaseName[] =>
  caseNames.filter((name) => cases[name].some((each) => each === stage));

/** How many cases pass on each stage, with the numbers of the exceptions; `–`: the stage has no such provider. */
function cell(client: ClientName, provider: string): string {
  const met = new Set<Exception>();
  const counts = stages.map((stage) => {
    if (!providersOn[stage].includes(provider) || !stagesOf(client).includes(stage)) return '–';
    const passed = casesOn(stage).filter((name) => {
      const exception = exceptionOf(client, provider, stage, name);
      if (exception !== undefined) met.add(exception);
      return exception === undefined;
    });
    return String(passed.length);
  });
  const notes = [...met].map((exception) => ` [${exceptions.indexOf(exception) + 1}]`).join('');
  return counts.join(' + ') + notes;
}

/** One row for each client. */
export const sdkRows = (): string[][] =>
  clientNames.map((client) => [client, ...sdkProviders.map((provider) => cell(client, provider))]);

/** The legend, and the list of exceptions. */
export function sdkNotes(): string {
  const [all, some] = stages.map((stage) => casesOn(stage).length);
  const tried = caseNames
    .map((name) => (cases[name].length === stages.length ? name : `${name}*`))
    .join('; ');
  const notes = exceptions.map(({ cases: excepted, reason, stage }, at) => {
    const where = stage === undefined ? '' : ` (${stage} only)`;
    return `${at + 1}. ${excepted.join(', ')}${where}: ${reason}.`;
  });
  const legend = `Cases that pass, of ${all} on the simulator + ${some} on the mock: ${tried}. (\\* not on the mock.)`;
  return [legend, ...(notes.length > 0 ? [notes.join('\n')] : [])].join('\n\n');
}
