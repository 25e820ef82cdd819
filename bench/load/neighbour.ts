/**
 * A neighbour that does nothing but move memory, on a core beside the server's: what pods on one machine do to each
 * other's caches and memory bandwidth. It ends with its parent.
 */
const bytes = 64 * 1024 * 1024;
const [from, to] = [new Float64Array(bytes / 8).fill(1), new Float64Array(bytes / 8)];

function move(): void {
  to.set(from);
  setImmediate(move);
}

process.on('disconnect', () => process.exit());
move();
process.send?.('busy');
