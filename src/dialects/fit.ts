/** Fits a request in neutral form to what its destination accepts, before it is written. */
import { type ChatRequest, type Notes, noteUnsupported } from './chat.ts';

/** What a destination accepts of a request. */
export interface Accepted {
  /** Most stop sequences. */
  readonly stopMax: number;
  /** A format of the answer beside tools. */
  readonly outputWithTools: boolean;
}

/** The request without what the destination would refuse, which is noted. */
export function fit(request: ChatRequest, { stopMax, outputWithTools }: Accepted, notes: Notes): ChatRequest {
  const { names, tools } = request;
  let { stop, output } = request;
  if (stop.length > stopMax) {
    noteUnsupported(notes, names.stop);
    stop = stop.slice(0, stopMax);
  }
  if (output !== null && tools.length > 0 && !outputWithTools) {
    noteUnsupported(notes, names.output);
    output = null;
  }
  return { ...request, stop, output };
}
