/** Matches the results in a Gemini conversation with its calls: by id, or by name in the order of the calls. */

/** A call, as far as its result refers to it. */
export interface OpenCall {
  readonly id: string;
  readonly name: string;
}

/** The calls without a result so far. Each step takes constant time on average, however many calls are open. */
export interface OpenCalls {
  add(call: OpenCall): void;
  /** Removes the first call with an id; undefined: there is none. */
  take(id: string): OpenCall | undefined;
  /** Removes the first call of a tool; undefined: there is none. */
  takeNamed(name: string): OpenCall | undefined;
}

/** Calls with the same id or name, in order; those before `next` have their result. */
interface Line {
  readonly calls: OpenCall[];
  next: number;
}

/** Creates the list of one conversation. */
export function createOpenCalls(): OpenCalls {
  const byId = new Map<string, Line>();
  const byName = new Map<string, Line>();
  // A call stands in two lines: the one it wasn't taken from passes over it later.
  const taken = new Set<OpenCall>();

  const append = (lines: Map<string, Line>, key: string, call: OpenCall): void => {
    const line = lines.get(key);
    if (line === undefined) lines.set(key, { calls: [call], next: 0 });
    else line.calls.push(call);
  };

  const takeFrom = (line: Line | undefined): OpenCall | undefined => {
    if (line === undefined) return undefined;
    for (let call = line.calls[line.next]; call !== undefined; call = line.calls[line.next]) {
      line.next += 1;
      if (taken.has(call)) continue;
      taken.add(call);
      return call;
    }
    return undefined;
  };

  return {
    add(call) {
      append(byId, call.id, call);
      append(byName, call.name, call);
    },
    take: (id) => takeFrom(byId.get(id)),
    takeNamed: (name) => takeFrom(byName.get(name)),
  };
}
