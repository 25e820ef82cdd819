/** Descriptors of open connections. */
import { native } from './load.ts';

/** A second descriptor of an open connection, so that the one that it has may be closed. Throws if there is none left. */
export const doubleSocket = native.socketDouble;
