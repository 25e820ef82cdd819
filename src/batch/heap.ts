/** A binary heap that returns the item with the smallest key first. An item's key must not change while it is inside. */

/** A binary heap. */
export interface Heap<T> {
  push(item: T): void;
  /** Removes the item with the smallest key; undefined: the heap is empty. */
  pop(): T | undefined;
}

/** An empty heap. */
export function createHeap<T>(keyOf: (item: T) => number): Heap<T> {
  const items: T[] = [];
  const before = (a: number, b: number): boolean => keyOf(items[a] as T) < keyOf(items[b] as T);
  const swap = (a: number, b: number): void => {
    const item = items[a] as T;
    items[a] = items[b] as T;
    items[b] = item;
  };

  return {
    push(item) {
      let at = items.push(item) - 1;
      for (let up = (at - 1) >> 1; at > 0 && before(at, up); up = (at - 1) >> 1) {
        swap(at, up);
        at = up;
      }
    },
    pop() {
      const last = items.length - 1;
      if (last > 0) swap(0, last);
      const first = items.pop();
      for (let at = 0; ; ) {
        const left = 2 * at + 1;
        if (left >= last) break;
        const least = left + 1 < last && before(left + 1, left) ? left + 1 : left;
        if (!before(least, at)) break;
        swap(least, at);
        at = least;
      }
      return first;
    },
  };
}
