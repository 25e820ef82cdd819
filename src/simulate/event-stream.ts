/** Writes messages of the AWS binary event stream, as latin1 text. */
import { crc32 } from 'node:zlib';

const textType = 7;

/** The bytes of a message, as latin1 text. @param headers names of at most 255 bytes */
export function eventMessage(headers: Readonly<Record<string, string>>, payload: string): string {
  const parts: Buffer[] = [];
  for (const [name, value] of Object.entries(headers)) {
    const text = Buffer.from(value);
    const head = Buffer.alloc(name.length + 4);
    head.writeUInt8(name.length, 0);
    head.write(name, 1, 'latin1');
    head.writeUInt8(textType, name.length + 1);
    head.writeUInt16BE(text.length, name.length + 2);
    parts.push(head, text);
  }
  const before = Buffer.concat(parts);
  const body = Buffer.from(payload);
  const message = Buffer.alloc(12 + before.length + body.length + 4);
  message.writeUInt32BE(message.length, 0);
  message.writeUInt32BE(before.length, 4);
  message.writeUInt32BE(crc32(message.subarray(0, 8)), 8);
  before.copy(message, 12);
  body.copy(message, 12 + before.length);
  const end = message.length - 4;
  message.writeUInt32BE(crc32(message.subarray(0, end)), end);
  return message.toString('latin1');
}
