/** Leases of meters in the native core: what this process holds of limits that pods share. */
import { native } from './load.ts';

/** Leases, by table and meter; times are monotonic ms. See `native/core/src/limits/leases.rs`. */
export const lease = {
  open: native.leaseOpen,
  alone: native.leasesAlone,
  urgent: native.leasesUrgent,
  report: native.leasesReport,
  reportOne: native.leaseReport,
  grant: native.leasesGrant,
  detach: native.leaseDetach,
  view: native.leaseView,
  asks: native.leaseAsks,
};

/** Numbers of a report, of a grant, and of what people see. */
export const leaseEntry = {
  report: native.leaseSize.REPORT,
  grant: native.leaseSize.GRANT,
  view: native.leaseSize.VIEW,
};

/** Where a report's numbers are. */
export const reportAt = {
  id: 0,
  window: 1,
  used: 2,
  acked: 3,
  reserved: 4,
  keep: 5,
  want: 6,
  demand: 7,
  largest: 8,
  known: 9,
  outage: 10,
} as const;
