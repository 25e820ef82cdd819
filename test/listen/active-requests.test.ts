/** The list of requests in flight: in whatever order requests come and go, each is in it from its start to its end. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { endpointsByPath } from '../../src/listen/endpoints.ts';
import { type ActiveRequests, Incoming } from '../../src/listen/incoming.ts';

const endpoint = endpointsByPath.values().next().value;

test('requests end in any order, and the end of the last one is reported', () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 40 }), { maxLength: 120 }), (steps) => {
      if (endpoint === undefined) throw new Error('no endpoint');
      let idle = 0;
      const requests: ActiveRequests = {
        active: [],
        parked: 0,
        arriving: 0,
        bodyBytes: 0,
        replyBytes: 0,
        replyMaxBytes: 0,
        bodyMaxBytes: 500,
        onIdle: () => (idle += 1),
      };
      const expected = new Set<Incoming>();
      let emptied = 0;
      steps.forEach((step, i) => {
        // Half of the steps let a request in, the others end one of those that are there.
        if (step % 2 === 0 || expected.size === 0) {
          const headers = step % 4 === 0 ? { 'x-sidegate-priority': 'batch' } : {};
          const incoming = new Incoming(String(i), endpoint, '/', '', headers, 0, requests);
          expected.add(incoming);
          if (incoming.hold(step)) incoming.receive(Buffer.alloc(step % 3 === 0 ? step : 0));
        } else {
          const leaving = [...expected][step % expected.size] as Incoming;
          leaving.end();
          expect(new Set(requests.active)).toEqual(expected);
          leaving.end();
          expected.delete(leaving);
          if (expected.size === 0) emptied += 1;
        }
        expect(requests.active.length).toBe(expected.size);
        const counted = [...expected].filter(({ parked, arriving }) => !parked || arriving);
        expect(requests.bodyBytes).toBe(counted.reduce((sum, { bodyBytes }) => sum + bodyBytes, 0));
        expect(requests.bodyBytes).toBeLessThanOrEqual(requests.bodyMaxBytes);
        expect(new Set(requests.active)).toEqual(expected);
        expect(requests.parked).toBe([...expected].filter(({ parked }) => parked).length);
      });
      expect(idle).toBe(emptied);
    }),
  );
});
