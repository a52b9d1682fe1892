import type { TimedEvent } from '../../contracts/event.ts';
import { hash53 } from '../features/hash.ts';

/** Visitors told apart: a day of a busy shop's. 6 bytes each, a power of two; where two fall to one place the later one has it. */
export const VISITOR_COUNTRIES_MAX = 2 ** 17;
const NOWHERE = 0;
const LETTER_A = 65;
const LETTERS = 26;

/** Who is asked about: the visit, or else the user. */
type Visitor = Pick<TimedEvent, 'session_id' | 'user_id'>;

/**
 * Where visitors are, by the last of their events that says it, in bounded memory. No ids are kept, only hashes of them that a number of this
 * process was mixed into: whose they were cannot be told from it.
 */
export class VisitorCountries {
  readonly #salt: string;
  readonly #tags = new Uint32Array(VISITOR_COUNTRIES_MAX);
  readonly #codes = new Uint16Array(VISITOR_COUNTRIES_MAX);

  /** `salt` differs from process to process. */
  constructor(salt: string) {
    this.#salt = salt;
  }

  /** An event's country is its `country`, or else its `ip_country`. */
  add({ session_id, user_id, country, ip_country }: TimedEvent): void {
    const said = country ?? ip_country;
    if (said === undefined) return;
    const code = 1 + (said.charCodeAt(0) - LETTER_A) * LETTERS + said.charCodeAt(1) - LETTER_A;
    if (session_id !== undefined) this.#put(`s${session_id}`, code);
    if (user_id !== undefined) this.#put(`u${user_id}`, code);
  }

  /** Of the visit; of a request without one, of the user. Undefined where no event said it. */
  of({ session_id, user_id }: Visitor): string | undefined {
    const code = session_id !== undefined ? this.#get(`s${session_id}`) : user_id !== undefined ? this.#get(`u${user_id}`) : NOWHERE;
    if (code === NOWHERE) return undefined;
    return String.fromCharCode(LETTER_A + Math.floor((code - 1) / LETTERS), LETTER_A + ((code - 1) % LETTERS));
  }

  #put(key: string, code: number): void {
    const { tag, place } = this.#placeOf(key);
    this.#tags[place] = tag;
    this.#codes[place] = code;
  }

  #get(key: string): number {
    const { tag, place } = this.#placeOf(key);
    return this.#tags[place] === tag ? this.#codes[place]! : NOWHERE;
  }

  /** 17 bits of the hash say where, 32 others whether it is them. */
  #placeOf(key: string): { readonly tag: number; readonly place: number } {
    const hash = hash53(`${this.#salt}${key}`);
    return { tag: hash % 2 ** 32, place: Math.floor(hash / 2 ** 32) % VISITOR_COUNTRIES_MAX };
  }
}
