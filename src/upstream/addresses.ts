/**
 * Addresses that no provider is reached at, unless the configuration names them: link-local ones, among which are the
 * metadata services of clouds that hand out credentials, shared address space, and groups. A name that resolves to one
 * of them, or another spelling, changes nothing, since the address itself is checked when a connection is made.
 */
import { BlockList, isIP } from 'node:net';

/** Code of the error at connect. */
export const addressCode = 'ERR_ADDRESS_REFUSED';

const refused = new BlockList();
/** RFC 3927, 6598 (carrier-grade NAT, and Alibaba's metadata), multicast, reserved. */
for (const [net, bits] of [
  ['169.254.0.0', 16],
  ['100.64.0.0', 10],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
] as const)
  refused.addSubnet(net, bits, 'ipv4');
/** Metadata of Oracle and of Azure outside of these. */
for (const one of ['192.0.0.192', '168.63.129.16']) refused.addAddress(one, 'ipv4');
/** RFC 4291: link-local, site-local, multicast; metadata of AWS, of Google and of Scaleway. */
for (const [net, bits] of [
  ['fe80::', 10],
  ['fec0::', 10],
  ['ff00::', 8],
  ['fd00:ec2::', 32],
  ['fd20:ce::', 32],
  ['fd00:42::42', 128],
] as const)
  refused.addSubnet(net, bits, 'ipv6');

/** Whether an address may be connected to. */
export type AddressCheck = (address: string) => boolean;

/** The check with these addresses and blocks (`100.64.0.0/10`) allowed as well. */
export function createAddressCheck(allowed: readonly string[]): AddressCheck {
  const named = new BlockList();
  for (const each of allowed) {
    const [net = '', bits] = each.split('/');
    const family = isIP(net) === 6 ? 'ipv6' : 'ipv4';
    if (bits === undefined) named.addAddress(net, family);
    else named.addSubnet(net, Number(bits), family);
  }
  return (address) => {
    const plain = address.replace(/^\[(.*)\]$/, '$1').replace(/%.*$/, '');
    const meant = [plain, ...embedded(plain)];
    return meant.some((each) => isIn(named, each)) || !meant.some((each) => isIn(refused, each));
  };
}

const isIn = (list: BlockList, address: string): boolean =>
  list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');

/** Whether a text is an address, or a block of addresses. */
export function isAddressOrBlock(text: string): boolean {
  const [net = '', bits, more] = text.split('/');
  const family = isIP(net);
  if (family === 0 || more !== undefined) return false;
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 6 ? 128 : 32));
}

/** The IPv4 addresses that an IPv6 address stands for: mapped, compatible, NAT64 (RFC 6052), 6to4, ISATAP, Teredo. */
function embedded(address: string): string[] {
  if (isIP(address) !== 6) return [];
  const words = wordsOf(address);
  const dotted = (high: number, low: number): string => `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`;
  const [a, b, c, d, e, f, g, h] = words as [number, number, number, number, number, number, number, number];
  const found: string[] = [];
  const isZero = (...some: number[]): boolean => some.every((word) => word === 0);
  if (isZero(a, b, c, d, e) && (f === 0 || f === 0xffff)) found.push(dotted(g, h));
  // Translated (RFC 2765).
  if (isZero(a, b, c, d, f) && e === 0xffff) found.push(dotted(g, h));
  if (a === 0x64 && b === 0xff9b) {
    found.push(dotted(g, h));
    // Of the local prefix 64:ff9b:1::/48, any longer prefix may be in use: the bits from 64 to 71 are left out.
    const [low, shifted] = [e & 255, ((e & 255) << 8) | (f >> 8)];
    if (c === 1)
      found.push(
        dotted(d, shifted),
        dotted(((d & 255) << 8) | low, f),
        dotted(shifted, ((f & 255) << 8) | (g >> 8)),
      );
  }
  if (a === 0x2002) found.push(dotted(b, c));
  if (a === 0x2001 && b === 0) found.push(dotted(g ^ 0xffff, h ^ 0xffff));
  if ((e & 0xfdff) === 0 && f === 0x5efe) found.push(dotted(g, h));
  return found;
}

/** The eight words of a valid IPv6 address. */
function wordsOf(address: string): number[] {
  const tail = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address);
  const [, start = '', p = 0, q = 0, r = 0, s = 0] = tail ?? [];
  const hex = (high: unknown, low: unknown): string => (Number(high) * 256 + Number(low)).toString(16);
  const text = tail === null ? address : `${start}${hex(p, q)}:${hex(r, s)}`;
  const [head = '', rest] = text.split('::');
  const words = (part: string): number[] =>
    part === '' ? [] : part.split(':').map((word) => Number.parseInt(word, 16));
  if (rest === undefined) return words(head);
  const [before, after] = [words(head), words(rest)];
  return [...before, ...Array(8 - before.length - after.length).fill(0), ...after];
}
