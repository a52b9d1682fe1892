import { type GatehouseClient, GatehouseClientError } from '../client/index.ts';
import { type EventsResponse, SERVER_EVENTS, type TimedEvent } from '../contracts/event.ts';
import type { RecommendResponse } from '../contracts/recommend.ts';
import type { ScoreRequest, ScoreResponse } from '../contracts/score.ts';
import type { Gate } from './live-gate.ts';
import type { LiveReport, LiveRoute } from './live-report.ts';
import type { ListAsk, PayAsk } from './steps.ts';

export interface Sent {
  readonly left: TimedEvent[];
  refused: number;
}

/** Where the shop talks to the gateway: each call waits for its turn, is counted, and tells the gate how it went. */
export class Desk {
  readonly #page: GatehouseClient;
  readonly #shop: GatehouseClient;
  readonly #gate: Gate;
  readonly #report: LiveReport;
  readonly #signal: AbortSignal;

  constructor(page: GatehouseClient, shop: GatehouseClient, gate: Gate, report: LiveReport, signal: AbortSignal) {
    this.#page = page;
    this.#shop = shop;
    this.#gate = gate;
    this.#report = report;
    this.#signal = signal;
  }

  /** Sends events. `left` could not be sent now; `refused` never will be. `hasTurn`: the caller was given a turn already. */
  async send(events: readonly TimedEvent[], hasTurn = false): Promise<Sent> {
    const sent: Sent = { left: [], refused: 0 };
    let turn = hasTurn;
    for (const isOffice of [false, true]) {
      const batch = events.filter(({ name }) => SERVER_EVENTS.has(name) === isOffice);
      if (batch.length === 0) continue;
      const client = isOffice ? this.#shop : this.#page;
      const answer = await this.#call<EventsResponse>('events', () => client.events(batch, { signal: this.#signal }), turn);
      turn = false;
      if (!(answer instanceof GatehouseClientError)) {
        this.#report.events.accepted += answer.accepted;
        this.#report.events.duplicates += answer.duplicates;
      } else if (answer.isTransient) sent.left.push(...batch);
      else sent.refused += batch.length;
    }
    return sent;
  }

  /** Undefined: no answer, the page lists by itself. */
  async recommend({ placement, userId, sessionId, itemId, limit }: ListAsk): Promise<RecommendResponse | undefined> {
    const request = {
      placement,
      session_id: sessionId,
      limit,
      ...(userId === undefined ? {} : { user_id: userId }),
      ...(itemId === undefined ? {} : { item_id: itemId }),
    };
    const answer = await this.#call('recommend', () => this.#page.recommend(request, { signal: this.#signal }));
    return answer instanceof GatehouseClientError ? undefined : answer;
  }

  /** Undefined: no answer, the payment goes to its provider. */
  async score({ attempt }: PayAsk): Promise<ScoreResponse | undefined> {
    const { event_id: _id, name: _name, value, ...shared } = attempt;
    const request: ScoreRequest = { ...shared, amount: value };
    const answer = await this.#call('score', () => this.#shop.score(request, { signal: this.#signal }));
    return answer instanceof GatehouseClientError ? undefined : answer;
  }

  /** Tries until the gateway has the whole catalogue, or refuses it for good. */
  async putItems(items: Parameters<GatehouseClient['putItems']>[0]): Promise<void> {
    for (;;) {
      const answer = await this.#call('items_put', () => this.#shop.putItems(items, { signal: this.#signal }));
      if (!(answer instanceof GatehouseClientError && answer.isTransient)) return;
    }
  }

  /** The answer or the error, which is counted. Rejects when the run ends. */
  async #call<T>(route: LiveRoute, call: () => Promise<T>, hasTurn = false): Promise<T | GatehouseClientError> {
    if (!hasTurn) await this.#gate.turn();
    this.#report.requests[route]++;
    try {
      const answer = await call();
      this.#gate.succeeded();
      return answer;
    } catch (error) {
      if (!(error instanceof GatehouseClientError) || error.code === 'aborted') throw error;
      this.#report.errors[error.code] = (this.#report.errors[error.code] ?? 0) + 1;
      this.#gate.failed(error);
      return error;
    }
  }
}
