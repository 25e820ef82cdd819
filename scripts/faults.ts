/** The table of faults under test: how many tests there are of each, for providers of each dialect. */
import { clients, faultRows, type Row, rowsOfProvider } from '../test/faults/dialect-rows.ts';

export const faultProviders = Object.keys(rowsOfProvider);

/** One row for each fault. */
export const dialectFaultRows = (): string[][] =>
  (Object.entries(faultRows) as unknown as [Row, string][]).map(([row, fault]) => [
    `${row}. ${fault}`,
    ...faultProviders.map((name) => String(rowsOfProvider[name]?.[row] ?? '–')),
  ]);

/** The client dialects that the tests use. */
export const faultClients = (): string => clients.map(({ name }) => `\`${name}\``).join(', ');
