/** The TypeScript client of Gatehouse, for browsers and Node: requests, queued events, and the stream of alerts. docs/client.md shows it at work. */
export {
  type AlertStream,
  type AlertStreamOptions,
  openAlertStream,
  type StreamDetail,
  type StreamGap,
  type StreamSocket,
  type StreamSocketClass,
  type StreamState,
} from './alert-stream.ts';
export { type Backoff, backoffMs, sleep } from './backoff.ts';
export type { CallOptions, Fetch } from './caller.ts';
export { type ClientOptions, createClient, type GatehouseClient, type NewEvent } from './client.ts';
export { CLIENT_CODES, type ClientCode, GatehouseClientError } from './errors.ts';
export type { Dropped, TrackOptions } from './queue.ts';
