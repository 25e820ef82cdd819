/**
 * A process of its own for a flood of streams, so that it takes no time of those who measure: as `provider` it sends each
 * stream as fast as its reader takes it, as `clients` it reads many of them at once.
 */
import { connect, createServer, type Socket } from 'node:net';
import { type Wire, wires } from '../support/replies.ts';
import { responsesWire } from '../support/responses-wire.ts';

const [role = '', ...given] = process.argv.slice(2);
const wire = wires[0] as Wire;

/** A chunk of the transfer coding. */
const chunkOf = (text: string): string => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;

/** How a body of chunks ends. */
const endText = '\r\n0\r\n\r\n';

/** Sends each stream this many bytes, in events of this size. */
function provide(bytes: number, eventBytes: number): void {
  const event = wire.text('x'.repeat(eventBytes));
  const piece = Buffer.from(chunkOf(event.repeat(Math.ceil((64 * 1024) / event.length))));
  const end = `${chunkOf(wire.finish() + wire.usage + wire.end)}0\r\n\r\n`;
  const whole = wire.whole('Hi');
  const answer = `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(whole)}\r\n\r\n${whole}`;
  const flood = (socket: Socket): void => {
    socket.write('HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n');
    socket.write(chunkOf(wire.opening));
    let left = bytes;
    const goOn = (): void => {
      while (left > 0) {
        left -= piece.length;
        if (!socket.write(piece)) return void socket.once('drain', goOn);
      }
      socket.write(end);
    };
    goOn();
  };
  const server = createServer((socket) => {
    let text = '';
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      text += chunk;
      const [head = '', body = ''] = text.split('\r\n\r\n');
      if (body.length < Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 1)) return;
      text = '';
      if (body.includes('"stream":true')) flood(socket);
      else socket.write(answer);
    });
  });
  server.listen(0, '127.0.0.1', () => process.send?.(server.address()));
}

/** Asks for this many streams at once; reports when all have ended, and how many of them as they should. */
function read(port: number, count: number, dialect: string): void {
  const own = [...wires, responsesWire].find(({ name }) => name === dialect) ?? wire;
  let [ended, good] = [0, 0];
  for (let i = 0; i < count; i++) {
    const body = JSON.stringify(own.request(`Go ${i}`, { model: 'quick', stream: true }));
    const socket = connect(port, '127.0.0.1');
    let last = '';
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      last = (last + chunk.toString('latin1', Math.max(0, chunk.length - endText.length))).slice(
        -endText.length,
      );
      if (last !== endText) return;
      good += 1;
      socket.destroy();
    });
    socket.on('close', () => {
      ended += 1;
      if (ended === count) process.send?.({ good });
    });
    socket.write(
      `POST ${own.path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
  }
}

const [first = 0, second = 0] = given.map(Number);
if (role === 'provider') provide(first, second);
else read(first, second, given[2] ?? '');
