/**
 * Node's HTTP, of which only the types may be imported elsewhere. An import of `node:http` into a module looks at each
 * of its exports, and one of them loads Node's own fetch and WebSocket when it is looked at: 4 MB and 10 ms of a start.
 */
export const { Agent, createServer, get, request, ServerResponse, STATUS_CODES } =
  process.getBuiltinModule('node:http');
