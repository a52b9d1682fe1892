import { type TSchema, Type } from 'typebox';
import { Compile } from 'typebox/compile';
import { expect, test } from 'vitest';
import { EventsRequest, eventProblem } from '../../contracts/event.ts';
import { RecommendRequest } from '../../contracts/recommend.ts';
import { ScoreRequest } from '../../contracts/score.ts';
import { requestSource, WORKLOADS, type Workload } from './workloads.ts';

const COLUMNS = 7;
/** What the services of `loadtests/peers` take instead of a payment. */
const HandedIn = Type.Object({ transaction_id: Type.String(), features: Type.Array(Type.Number(), { minItems: COLUMNS, maxItems: COLUMNS }) });
const CONTRACTS: Readonly<Record<Workload, readonly [path: string, schema: TSchema]>> = {
  score: ['/v1/score', ScoreRequest],
  features: ['/v1/score', HandedIn],
  recommend: ['/v1/recommend', RecommendRequest],
  recommend_new: ['/v1/recommend', RecommendRequest],
  events: ['/v1/events', EventsRequest],
};
const SPEC = { key: 'gh_sec_x', items: 500, users: 100, seed: 1, columns: COLUMNS, run: 'run000' };

/** Head and body of a request, as a server takes them apart. */
function parts(bytes: Buffer): { head: string; body: string; announced: number } {
  const text = bytes.toString('utf8');
  const end = text.indexOf('\r\n\r\n');
  return { head: text.slice(0, end), body: text.slice(end + 4), announced: Number(/content-length: (\d+)/i.exec(text)?.[1]) };
}

test.each(WORKLOADS)('a %s request is whole and matches its contract', (workload) => {
  const source = requestSource({ ...SPEC, workload });
  const [path, schema] = CONTRACTS[workload];
  const validator = Compile(schema);
  for (let i = 0; i < 300; i++) {
    const { head, body, announced } = parts(source.next());
    expect(head.startsWith(`POST ${path} HTTP/1.1\r\n`)).toBe(true);
    expect(Buffer.byteLength(body)).toBe(announced);
    const value: unknown = JSON.parse(body);
    expect([...validator.Errors(value)]).toEqual([]);
    if (workload === 'events') for (const event of (value as EventsRequest).events) expect(eventProblem(event)).toBeUndefined();
  }
});

test('every id is new, within a source and between runs', () => {
  const ids = new Set<string>();
  for (const run of ['run000', 'run001']) {
    const payments = requestSource({ ...SPEC, run, workload: 'score' });
    // More than there are templates, so that each comes again.
    for (let i = 0; i < 5_000; i++) ids.add((JSON.parse(parts(payments.next()).body) as ScoreRequest).transaction_id);
    const batches = requestSource({ ...SPEC, run, workload: 'events' });
    for (let i = 0; i < 10; i++) for (const { event_id } of (JSON.parse(parts(batches.next()).body) as EventsRequest).events) ids.add(event_id);
  }
  expect(ids.size).toBe(2 * (5_000 + 1_000));
});
