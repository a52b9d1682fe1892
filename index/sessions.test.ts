import { describe, expect, test } from 'vitest';
import { seededRandom } from './clustered.ts';
import {
  FOLLOWERS,
  S_KNN,
  SESSION_CLICKS_MAX,
  SESSIONS_PER_ITEM_MAX,
  SessionIndex,
  type SessionSearchParams,
  type SessionTable,
  V_STAN,
  VMIS_KNN,
} from './sessions.ts';
import { decodeSessions, encodeSessions } from './sessions-file.ts';

function tableOf(items: number, sessions: readonly (readonly number[])[]): SessionTable {
  const indptr = new Uint32Array(sessions.length + 1);
  sessions.forEach((clicks, i) => {
    indptr[i + 1] = indptr[i]! + clicks.length;
  });
  return { indptr, items: Uint32Array.from(sessions.flat()), ids: Array.from({ length: items }, (_, item) => `i${item}`) };
}

/** Sessions that walk about among neighbouring items, with repeats. */
function walks(items: number, count: number, seed: number): number[][] {
  const random = seededRandom(seed);
  return Array.from({ length: count }, () => {
    const start = Math.floor(items * random() ** 2);
    return Array.from({ length: 1 + Math.floor(9 * random() ** 2) }, () => (start + Math.floor(6 * random())) % items);
  });
}

/** The definition, session by session and with plain arrays. */
function slowly(sessions: readonly (readonly number[])[], items: number, clicked: readonly number[], params: SessionSearchParams) {
  const total = sessions.length;
  const query = [...new Set([...clicked].reverse())].slice(0, params.lastItems);
  const weights = query.map(
    (_, i) => ({ equal: 1, linear: (query.length - i) / query.length, exponential: Math.exp(-i / 2), steep: Math.exp(-3 * i) })[params.itemWeight],
  );
  const newestOf = query.map((item) =>
    sessions
      .map((_, session) => session)
      .filter((session) => sessions[session]!.includes(item))
      .reverse()
      .slice(0, params.sessionsPerItem),
  );
  const neighbours = sessions
    .map((clicks, session) => {
      const common = query.map((_, i) => i).filter((i) => newestOf[i]!.includes(session));
      const sum = common.reduce((similarity, i) => similarity + weights[i]!, 0);
      return { session, clicks, latest: common[0] ?? -1, similarity: sum };
    })
    .filter(({ latest }) => latest >= 0)
    .sort((a, b) => b.session - a.session)
    .slice(0, params.sessionsMax)
    .map((found) => {
      const norm = params.lengthNorm ? Math.fround(1 / Math.sqrt(found.clicks.length)) : 1;
      return { ...found, similarity: found.similarity * norm * (params.recency ? Math.exp((found.session - total) / total) : 1) };
    })
    .sort((a, b) => b.similarity - a.similarity || b.session - a.session)
    .slice(0, params.k);
  const scores = new Float64Array(items);
  for (const { clicks, latest, similarity } of neighbours) {
    const match = clicks.lastIndexOf(query[latest]!);
    if (params.clickWeight === 'after') {
      clicks.forEach((item, at) => {
        const before = clicks.slice(0, at).map((other, i) => (other === query[latest] ? Math.exp(1 + i - at) : 0));
        scores[item]! += similarity * before.reduce((sum, value) => sum + value, 0);
      });
      continue;
    }
    const given = new Set<number>();
    clicks.forEach((item, at) => {
      const share = at === match ? params.matchShare : 1;
      if (share === 0 || (params.clickWeight !== 'distance' && given.has(item))) return;
      given.add(item);
      const click = { equal: 1, match: Math.max(0, 1 - (latest + 1) / 10), distance: Math.exp(-Math.abs(at - match) / 4), after: 0 }[
        params.clickWeight
      ];
      const held = sessions.filter((session) => session.includes(item)).length;
      scores[item]! += similarity * share * click * (params.idf ? Math.log(total / held) : 1);
    });
  }
  return scores;
}

const small = { sessionsPerItem: 6, sessionsMax: 20, k: 9 };
const variants: [string, SessionSearchParams][] = [
  ['S-KNN', S_KNN],
  ['VMIS-kNN', VMIS_KNN],
  ['V-STAN', V_STAN],
  ['S-KNN, cut', { ...S_KNN, ...small }],
  ['VMIS-kNN, cut', { ...VMIS_KNN, ...small, lastItems: 3 }],
  ['V-STAN, cut', { ...V_STAN, ...small, lastItems: 2 }],
  ['V-STAN without its matches', { ...V_STAN, ...small, matchShare: 0 }],
  ['S-KNN without its matches', { ...S_KNN, ...small, matchShare: 0 }],
  ['followers', FOLLOWERS],
  ['followers, cut', { ...FOLLOWERS, ...small, itemWeight: 'equal' }],
  ['VMIS-kNN by similarity', { ...VMIS_KNN, k: 4, recency: true, lengthNorm: true, matchShare: 0.3 }],
];

describe('a session index', () => {
  const items = 60;
  const sessions = walks(items, 300, 1);
  const index = new SessionIndex(tableOf(items, sessions));

  test.each(variants)('%s answers as its definition, computed slowly', (_, params) => {
    for (const clicked of walks(items, 40, 2)) {
      const expected = slowly(sessions, items, clicked, params);
      const { items: found, scores } = index.searchNumbers(clicked, items, params);
      expect(found.length).toBe(expected.filter((score) => score > 0).length);
      found.forEach((item, i) => {
        expect(scores[i]).toBeCloseTo(expected[item]!, 10);
        if (i === 0) return;
        expect(scores[i]!).toBeLessThanOrEqual(scores[i - 1]!);
        if (scores[i] === scores[i - 1]) expect(item).toBeGreaterThan(found[i - 1]!);
      });
      // A shorter list is the start of a longer one, and one search leaves nothing behind for the next.
      for (const count of [0, 1, 5]) expect(index.searchNumbers(clicked, count, params).items).toEqual(found.subarray(0, count));
    }
  });

  test('hand-computed: the items of the one session in common, by their distance', () => {
    const tiny = new SessionIndex(tableOf(5, [[0, 1, 2], [3], [4]]));
    const found = tiny.search(['i1'], 5, { ...V_STAN, matchShare: 0 });
    const similarity = Math.fround(1 / Math.sqrt(3)) * Math.exp(-1) * Math.exp(-1 / 4) * Math.log(3);
    expect(found).toEqual([
      { id: 'i0', similarity: expect.closeTo(similarity, 12) },
      { id: 'i2', similarity: expect.closeTo(similarity, 12) },
    ]);
  });

  test('unknown ids are passed over; a session without a known one gets nothing', () => {
    expect(index.search(['new', 'i3', 'gone'], 7, V_STAN)).toEqual(index.search(['i3'], 7, V_STAN));
    expect(index.search(['new'], 7, V_STAN)).toEqual([]);
    expect(index.search([], 7, VMIS_KNN)).toEqual([]);
  });

  test('of an item with very many sessions the newest are looked at', () => {
    const many = Array.from({ length: SESSIONS_PER_ITEM_MAX + 10 }, (_, session) => [0, session < 10 ? 1 : 2]);
    const found = new SessionIndex(tableOf(3, many)).search(['i0'], 3, { ...S_KNN, k: 100_000, matchShare: 0 });
    expect(found.map(({ id }) => id)).toEqual(['i2']);
  });

  test('refuses tables that are not as they should be', () => {
    const table = tableOf(3, [[0, 1], [2]]);
    const bad: SessionTable[] = [
      { ...table, indptr: Uint32Array.of(1, 2, 3) },
      { ...table, indptr: Uint32Array.of(0, 3, 2) },
      { ...table, indptr: Uint32Array.of(0, 0, 3) },
      { ...table, indptr: Uint32Array.of(0, 2, 4) },
      { ...table, indptr: new Uint32Array(0) },
      { ...table, items: Uint32Array.of(0, 1, 3) },
      { ...table, ids: ['a', 'b', 'a'] },
      tableOf(1, [new Array(SESSION_CLICKS_MAX + 1).fill(0)]),
    ];
    for (const wrong of bad) expect(() => new SessionIndex(wrong)).toThrow(RangeError);
  });
});

describe('the file of sessions', () => {
  const index = new SessionIndex(tableOf(40, walks(40, 100, 3)));
  const bytes = encodeSessions(index);

  test('read back, it answers the same', () => {
    const again = decodeSessions(bytes);
    expect(again.table).toEqual(index.table);
    for (const clicked of walks(40, 20, 4)) expect(again.searchNumbers(clicked, 10, V_STAN)).toEqual(index.searchNumbers(clicked, 10, V_STAN));
    // At any place in a larger buffer.
    const larger = new Uint8Array(bytes.length + 3);
    larger.set(bytes, 3);
    expect(decodeSessions(larger.subarray(3)).table).toEqual(index.table);
    expect(encodeSessions(again).equals(bytes)).toBe(true);
  });

  test('an empty table has a file too', () => {
    expect(decodeSessions(encodeSessions(new SessionIndex(tableOf(0, [])))).sessions).toBe(0);
  });

  test('a changed byte, a cut and an addition are refused', () => {
    const refused = expect.objectContaining({ code: 'snapshot_corrupt' });
    for (let at = 0; at < bytes.length; at += 7) {
      const changed = Buffer.from(bytes);
      changed[at]! ^= 1 << (at % 8);
      expect(() => decodeSessions(changed)).toThrow(refused);
    }
    for (const length of [0, 8, 20, 51, bytes.length - 1]) expect(() => decodeSessions(bytes.subarray(0, length))).toThrow(refused);
    expect(() => decodeSessions(Buffer.concat([bytes, bytes]))).toThrow(refused);
  });

  test('numbers out of range are refused though the hash is right', () => {
    const { table } = index;
    const crafted: SessionTable[] = [
      { ...table, items: table.items.with(0, 40) },
      { ...table, indptr: table.indptr.with(3, 2 ** 32 - 1) },
      { ...table, ids: table.ids.with(1, 'i0') },
      { ...table, ids: [...table.ids.slice(1), 7 as unknown as string] },
    ];
    for (const wrong of crafted)
      expect(() => decodeSessions(encodeSessions({ table: wrong } as SessionIndex))).toThrow(expect.objectContaining({ code: 'snapshot_corrupt' }));
  });
});
