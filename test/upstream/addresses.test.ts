/** Which addresses a provider may have, in every spelling. */
import { describe, expect, onTestFinished, test } from 'vitest';
import { createAddressCheck, isAddressOrBlock } from '../../src/upstream/addresses.ts';
import { ask } from '../support/client.ts';
import { type Wire, wires } from '../support/replies.ts';
import { startTestSidecar } from '../support/sidecar.ts';

const refused = [
  '169.254.169.254',
  '169.254.0.1',
  '100.64.0.1',
  '100.100.100.200',
  '100.127.255.255',
  '224.0.0.1',
  '255.255.255.255',
  '192.0.0.192',
  '168.63.129.16',
  'fe80::1',
  'fe80::1%eth0',
  '[fe80::1]',
  'fec0::1',
  'ff02::1',
  'fd00:ec2::254',
  'fd20:ce::254',
  'fd00:42::42',
  // Mapped, compatible, translated.
  '::ffff:169.254.169.254',
  '::ffff:a9fe:a9fe',
  '0:0:0:0:0:ffff:a9fe:a9fe',
  '::169.254.169.254',
  '::ffff:0:169.254.169.254',
  // NAT64 by its well-known prefix, and by a local one of each length.
  '64:ff9b::169.254.169.254',
  '64:ff9b::a9fe:a9fe',
  '64:ff9b:1::a9fe:a9fe',
  '64:ff9b:1:a9fe:a9:fe00::',
  '64:ff9b:1:00a9:00fe:a9fe::',
  '64:ff9b:1:0:a9:fea9:fe00::',
  // 6to4, ISATAP, Teredo.
  '2002:a9fe:a9fe::1',
  'fd00::5efe:a9fe:a9fe',
  'fd00::200:5efe:a9fe:a9fe',
  '2001:0:4136:e378:8000:63bf:5601:5601',
];
const allowed = [
  '127.0.0.1',
  '::1',
  '::ffff:127.0.0.1',
  '10.1.2.3',
  '192.168.0.5',
  '100.63.255.255',
  '100.128.0.1',
  '8.8.8.8',
  '2606:4700::1111',
  'fd12:3456::1',
  '64:ff9b::8.8.8.8',
];

describe('the check of addresses', () => {
  const check = createAddressCheck([]);
  test.each(refused)('%s is refused', (address) => expect(check(address)).toBe(false));
  test.each(allowed)('%s is allowed', (address) => expect(check(address)).toBe(true));

  test('addresses and blocks can be named', () => {
    const named = createAddressCheck(['100.64.0.0/10', 'fe80::1']);
    expect(['100.64.0.1', '::ffff:100.100.0.1', 'fe80::1', 'fe80::1%eth0'].map(named)).toEqual(
      Array(4).fill(true),
    );
    expect(['169.254.169.254', 'fe80::2'].map(named)).toEqual([false, false]);
    expect(['10.0.0.1', '10.0.0.0/8', 'fd00::/8'].map(isAddressOrBlock)).toEqual(Array(3).fill(true));
    expect(['x', '10.0.0.0/33', '10.0.0.0/', '1/2/3', 'a.test'].map(isAddressOrBlock)).toEqual(
      Array(5).fill(false),
    );
  });
});

test.each([
  'http://169.254.169.254/v1',
  'http://2852039166/v1',
  'http://0xa9fea9fe/v1',
  'http://[::ffff:169.254.169.254]/v1',
])('a provider at %s is never connected to', async (baseUrl) => {
  const wire = wires[0] as Wire;
  const sidecar = await startTestSidecar({
    cache: { enabled: false },
    providers: { inner: { dialect: 'openai', baseUrl, apiKey: 'k' } },
    routes: [{ model: 'm', targets: [{ provider: 'inner' }] }],
  });
  onTestFinished(() => sidecar.stop());
  const reply = await ask(sidecar.url, wire.path, { body: wire.request('Hi', { model: 'm' }) });
  expect(reply.status).toBe(503);
  expect(reply.text).toContain('inner/m: address_refused');
});
