/** Settings of the data port. */

import { z } from 'zod';
import { bytes, ms, port } from '../base/settings.ts';

/** Schema of the data port's settings. */
export const listen = z
  .strictObject({
    host: z.string().default('127.0.0.1').meta({ description: 'Address of the data port.', restart: true }),
    port: port.default(4100).meta({ description: 'Data port; 0 picks a free one.', restart: true }),
    socket: z
      .string()
      .optional()
      .meta({ description: 'Path of a Unix socket to listen on, instead of host and port.', restart: true }),
    allowedHosts: z.array(z.string()).max(64).default([]).meta({
      description: 'Host names accepted in the `Host` header, besides localhost, 127.0.0.1 and [::1].',
    }),
    allowedOrigins: z.array(z.string()).max(64).default([]).meta({
      description:
        'Web origins whose pages may call, those of apps (`app://…`) and browser extensions included; all others are refused.',
    }),
    bodyMaxBytes: bytes(256 * 1024 * 1024)
      .default(20 * 1024 * 1024)
      .meta({ description: 'Largest request body.' }),
    uploadMaxBytes: bytes(1024 ** 3)
      .default(64 * 1024 * 1024)
      .meta({ description: 'Largest upload: a form with files.' }),
    bodiesMaxBytes: bytes(16 * 1024 ** 3)
      .default(256 * 1024 * 1024)
      .meta({
        description:
          'Memory for the bodies of all requests in flight, without those in the batch queue; more are refused. A single body may be larger.',
      }),
    repliesMaxBytes: bytes(16 * 1024 ** 3)
      .default(256 * 1024 * 1024)
      .meta({
        description:
          'Memory for the whole replies of all requests, until their clients have read them, for events of streams until all of an event is here, and for what translated streams say again at their end. A call whose reply has no room fails; a single reply or event, and one up to 64 KiB, always has room.',
      }),
    bodyTimeoutMs: ms(10, 600_000)
      .default(30_000)
      .meta({ description: 'Time within which a whole request must arrive.', restart: true }),
    keepAliveMs: ms(10, 600_000).default(15_000).meta({
      description:
        "Silence on a stream after which a comment is sent to keep the client's connection open; before the first token, the head too, and what fails then is told as an event.",
    }),
    clientTimeoutMs: ms(10, 3_600_000)
      .default(60_000)
      .meta({ description: 'Time after which a client that reads nothing of its reply is disconnected.' }),
    connectionsMax: z.int().min(1).max(65_535).default(4096).meta({ description: 'Most open connections.' }),
    inFlightMax: z
      .int()
      .min(1)
      .max(65_535)
      .default(1024)
      .meta({ description: 'Most requests in flight; more are refused.' }),
    sessions: z
      .strictObject({
        max: z.int().min(1).max(65_535).default(64).meta({
          description: 'Most sessions (WebSockets) open at once; more are refused.',
        }),
        messageMaxBytes: bytes(256 * 1024 * 1024)
          .default(4 * 1024 * 1024)
          .meta({
            description:
              'Largest message, either way; what sends a larger one is closed with code 1009. Each side of each session may hold one.',
          }),
        idleMs: ms(10, 86_400_000)
          .default(900_000)
          .meta({ description: 'A session that has passed no message for this time is closed.' }),
        durationMs: ms(10, 86_400_000)
          .default(7_200_000)
          .meta({ description: 'Longest session; most providers end theirs sooner.' }),
      })
      .prefault({}),
    drainMs: ms(0, 600_000)
      .default(25_000)
      .meta({ description: 'Time requests in flight get to finish on SIGTERM.' }),
  })
  .prefault({});

/** The data port's settings, checked. */
export type ListenSettings = z.output<typeof listen>;
