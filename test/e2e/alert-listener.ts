import { WebSocket } from 'ws';
import type { Alert, Position, ServerFrame, StreamTokenResponse } from '../../contracts/push.ts';
import type { ServedGateway } from './command-line.ts';

/** A listener on the alert stream that speaks the protocol's frames itself, so that what is tested is the wire. */
export class AlertListener {
  readonly alerts: Alert[] = [];
  readonly offsets: number[] = [];
  /** What each reconnect was told. */
  readonly recovered: boolean[] = [];
  #position: Position | undefined;
  #socket: WebSocket | undefined;
  #onChange: () => void = () => {};

  static async open(gateway: ServedGateway): Promise<AlertListener> {
    const listener = new AlertListener();
    await listener.#connect(gateway);
    return listener;
  }

  reconnect(gateway: ServedGateway): Promise<void> {
    return this.#connect(gateway);
  }

  disconnect(): void {
    this.#socket?.terminate();
    this.#socket = undefined;
  }

  close(): void {
    this.disconnect();
  }

  /** Resolves when `holds` does; the test's own time limit is the limit. */
  until(holds: (alerts: readonly Alert[]) => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#onChange = () => {
        if (holds(this.alerts)) resolve();
      };
      this.#onChange();
    });
  }

  async #connect(gateway: ServedGateway): Promise<void> {
    const { token } = await gateway.post<StreamTokenResponse>('/v1/stream/tokens', { channels: ['alerts'] });
    const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/v1/stream?token=${encodeURIComponent(token)}`);
    this.#socket = socket;
    const after = this.#position;
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.once('close', (code) => reject(new Error(`the stream was closed with ${code}`)));
      socket.on('message', (data) => {
        if (this.#socket !== socket) return;
        const frame = JSON.parse(String(data)) as ServerFrame;
        // Before `ready` the token is still being checked, and a subscription is refused.
        if (frame.type === 'ready') socket.send(JSON.stringify({ type: 'subscribe', channel: 'alerts', ...(after ? { after } : {}) }));
        if (frame.type === 'subscribed') {
          if (after) this.recovered.push(frame.recovered);
          else this.#position = { offset: frame.offset, epoch: frame.epoch };
          resolve();
        } else if (frame.type === 'push') {
          this.alerts.push(frame.data);
          this.offsets.push(frame.offset);
          this.#position = { offset: frame.offset, epoch: frame.epoch };
          this.#onChange();
        } else if (frame.type === 'error') reject(new Error(`${frame.code}: ${frame.detail}`));
      });
    });
  }
}
