import type { ControlStreamTokenResponse } from '../contracts/control.ts';
import type { Alert, ClientFrame, Position, ServerFrame } from '../contracts/push.ts';

export type StreamState = 'connecting' | 'live' | 'waiting' | 'closed';

export interface StreamEvents {
  onState(state: StreamState): void;
  onAlert(alert: Alert, offset: number): void;
  /** The log went on without us, or was started anew: what lies between could not be replayed. */
  onGap(): void;
  /** No token to be had; the stream tries again. */
  onError(error: unknown): void;
}

/** What of `WebSocket` is used, so that a test can stand in for it. */
export interface Socket {
  onopen: ((event: Event) => void) | null;
  onmessage: ((event: MessageEvent) => void) | null;
  onclose: ((event: CloseEvent) => void) | null;
  send(data: string): void;
  close(): void;
}

export interface StreamOptions extends StreamEvents {
  fetchToken(): Promise<ControlStreamTokenResponse>;
  openSocket(url: string): Socket;
  readonly random: () => number;
}

const BACKOFF_FIRST_MS = 500;
/** A desk that looks at a dead stream for longer than this loses trust in it. */
const BACKOFF_MAX_MS = 10_000;
const PING_EVERY_MS = 15_000;
/** Two pings without a sign of life: the connection is gone, though the browser has not noticed. */
const SILENCE_MAX_MS = 35_000;

/** A stream of alerts that reconnects by itself, each time from the last position seen. */
export class AlertStream {
  readonly #options: StreamOptions;
  #position: Position | undefined;
  #socket: Socket | undefined;
  #attempts = 0;
  #stopped = false;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #ping: ReturnType<typeof setInterval> | undefined;
  #heardMs = 0;

  constructor(options: StreamOptions) {
    this.#options = options;
  }

  /** Follow the log from behind `position`; from now on without one. */
  start(position?: Position): void {
    this.#position = position;
    void this.#connect();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#retry);
    clearInterval(this.#ping);
    this.#socket?.close();
    this.#options.onState('closed');
  }

  async #connect(): Promise<void> {
    this.#options.onState('connecting');
    let grant: ControlStreamTokenResponse;
    try {
      grant = await this.#options.fetchToken();
    } catch (error) {
      this.#options.onError(error);
      this.#again();
      return;
    }
    if (this.#stopped) return;
    const socket = this.#options.openSocket(grant.url);
    this.#socket = socket;
    socket.onopen = () => this.#send({ type: 'auth', token: grant.token });
    socket.onmessage = (event) => this.#take(event.data);
    socket.onclose = () => {
      if (this.#socket !== socket) return;
      clearInterval(this.#ping);
      this.#socket = undefined;
      this.#again();
    };
    this.#heardMs = Date.now();
    this.#ping = setInterval(() => {
      if (Date.now() - this.#heardMs > SILENCE_MAX_MS) socket.close();
      else if (this.#attempts === 0) this.#send({ type: 'ping' });
    }, PING_EVERY_MS);
  }

  /** Full jitter: a thousand desks whose gateway restarted do not come back in the same instant. */
  #again(): void {
    if (this.#stopped) return;
    this.#options.onState('waiting');
    const ceilingMs = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** this.#attempts);
    this.#attempts++;
    this.#retry = setTimeout(() => void this.#connect(), BACKOFF_FIRST_MS / 2 + this.#options.random() * ceilingMs);
  }

  #send(frame: ClientFrame): void {
    this.#socket?.send(JSON.stringify(frame));
  }

  #take(data: unknown): void {
    this.#heardMs = Date.now();
    if (typeof data !== 'string') return;
    const frame = JSON.parse(data) as ServerFrame;
    switch (frame.type) {
      case 'ready':
        this.#send({ type: 'subscribe', channel: 'alerts', ...(this.#position ? { after: this.#position } : {}) });
        return;
      case 'subscribed':
        this.#attempts = 0;
        if (!frame.recovered && this.#position !== undefined) this.#options.onGap();
        // Without a position, or with one that means nothing any more, the stream starts at the one that the gateway names.
        if (!frame.recovered || this.#position === undefined) this.#position = { offset: frame.offset, epoch: frame.epoch };
        this.#options.onState('live');
        return;
      case 'push':
        // Replay and live may meet: an offset that was seen is not shown twice.
        if (this.#position?.epoch === frame.epoch && frame.offset <= this.#position.offset) return;
        this.#position = { offset: frame.offset, epoch: frame.epoch };
        this.#options.onAlert(frame.data, frame.offset);
        return;
      case 'error':
        this.#options.onError(new Error(`${frame.code}: ${frame.detail}`));
        return;
      case 'pong':
      case 'unsubscribed':
        return;
    }
  }
}
