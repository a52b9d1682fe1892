import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HOLDERS_PER_ITEM_MAX, PROFILE_ITEMS_MAX, ProfileIndex, type ProfileTable } from './profiles.ts';
import { decodeProfiles, encodeProfiles } from './profiles-file.ts';

interface Person {
  readonly items: number[];
  readonly values: number[];
  readonly votes: number[];
}

function tableOf(people: readonly Person[], items: number): ProfileTable {
  let end = 0;
  const indptr = Uint32Array.from([0, ...people.map((person) => (end += person.items.length))]);
  return {
    indptr,
    items: Uint32Array.from(people.flatMap((person) => person.items)),
    values: Float32Array.from(people.flatMap((person) => person.values)),
    votes: Float32Array.from(people.flatMap((person) => person.votes)),
    ids: Array.from({ length: items }, (_, item) => `i${item}`),
  };
}

/** The definition, with dense vectors: cosine of roots, then the weighted mean of votes. */
function scoresByDefinition(
  said: (person: Person, i: number) => number,
  people: readonly Person[],
  items: number,
  numbers: readonly number[],
  values: readonly number[],
): number[] {
  const dense = (places: readonly number[], held: readonly number[]): number[] => {
    const out = new Array<number>(items).fill(0);
    places.forEach((item, i) => {
      out[item] = Math.sqrt(Math.fround(held[i]!));
    });
    const length = Math.hypot(...out);
    return out.map((value) => (length > 0 ? value / length : 0));
  };
  const asked = dense(numbers, values);
  const similarity = people.map((person) => dense(person.items, person.values).reduce((sum, value, item) => sum + value * asked[item]!, 0));
  const total = similarity.reduce((sum, value) => sum + value, 0);
  const scores = new Array<number>(items).fill(0);
  people.forEach((person, p) => {
    person.items.forEach((item, i) => {
      if (total > 0) scores[item]! += (similarity[p]! / total) * said(person, i);
    });
  });
  return scores;
}

const ITEMS = 12;
const person = fc.uniqueArray(fc.integer({ min: 0, max: ITEMS - 1 }), { minLength: 1, maxLength: 6 }).chain((items) =>
  fc.record({
    items: fc.constant(items),
    values: fc.array(fc.double({ min: 0.01, max: 9, noNaN: true }), { minLength: items.length, maxLength: items.length }),
    votes: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: items.length, maxLength: items.length }),
  }),
);

describe('look-alike people', () => {
  test('score items as the definition says', () => {
    fc.assert(
      fc.property(fc.array(person, { minLength: 1, maxLength: 20 }), person, (people, asked) => {
        const index = new ProfileIndex(tableOf(people, ITEMS));
        const expected = scoresByDefinition((one, i) => Math.fround(one.votes[i]!), people, ITEMS, asked.items, asked.values);
        const everExpected = scoresByDefinition((one, i) => Math.min(1, one.values[i]!), people, ITEMS, asked.items, asked.values);
        // Twice: what one answer leaves in the scratch arrays must not show in the next.
        for (let round = 0; round < 2; round++) {
          const { items, scores, ever } = index.alike(asked.items, asked.values);
          for (let item = 0; item < ITEMS; item++) {
            const at = items.indexOf(item);
            expect(scores[at] ?? 0).toBeCloseTo(expected[item]!, 5);
            expect(ever[at] ?? 0).toBeCloseTo(everExpected[item]!, 5);
          }
        }
      }),
      { seed: 7, numRuns: 200 },
    );
  });

  test('nobody holds what is asked for: no scores', () => {
    const index = new ProfileIndex(tableOf([{ items: [0, 1], values: [1, 1], votes: [1, 1] }], 3));
    expect(index.alike([2], [1]).items).toHaveLength(0);
    expect(index.alike([], []).items).toHaveLength(0);
  });

  test('of a best-seller the last holders alone are asked', () => {
    // The first person alone wants item 1; so many more hold item 0 after them that they are no longer looked at.
    const crowd = Array.from({ length: HOLDERS_PER_ITEM_MAX }, () => ({ items: [0, 2], values: [1, 1], votes: [1, 1] }));
    const index = new ProfileIndex(tableOf([{ items: [0, 1], values: [1, 1], votes: [1, 1] }, ...crowd], 3));
    expect([...index.alike([0], [1]).items].sort()).toEqual([0, 2]);
  });

  const sound = tableOf([{ items: [0, 1], values: [1, 2], votes: [0, 1] }], 2);
  test.each<[string, Partial<ProfileTable>]>([
    ['an item that is none', { items: Uint32Array.of(0, 2) }],
    ['a value of 0', { values: Float32Array.of(1, 0) }],
    ['a value that is not finite', { values: Float32Array.of(1, Number.NaN) }],
    ['a vote above 1', { votes: Float32Array.of(0, 1.5) }],
    ['a vote that is no number', { votes: Float32Array.of(0, Number.NaN) }],
    ['a column that is too short', { votes: Float32Array.of(1) }],
    ['an id that stands twice', { ids: ['a', 'a'] }],
    ['a person without items', { indptr: Uint32Array.of(0, 2, 2) }],
    ['offsets that fall', { indptr: Uint32Array.of(0, 2, 1) }],
  ])('a table with %s is refused', (_, wrong) => {
    expect(() => new ProfileIndex({ ...sound, ...wrong })).toThrow(RangeError);
  });

  test('a person with too many items is refused', () => {
    const count = PROFILE_ITEMS_MAX + 1;
    const many = { items: Array.from({ length: count }, (_, i) => i), values: new Array(count).fill(1), votes: new Array(count).fill(1) };
    expect(() => new ProfileIndex(tableOf([many], count))).toThrow('items, not 1 to');
  });
});

describe('the file', () => {
  const index = new ProfileIndex(
    tableOf(
      [
        { items: [0, 2], values: [1, 0.5], votes: [0.25, 1] },
        { items: [1, 2], values: [3, 2], votes: [1, 0] },
      ],
      3,
    ),
  );

  test('is read as it was written', () => {
    expect(decodeProfiles(encodeProfiles(index)).table).toEqual(index.table);
  });

  test('that is cut off or of something else is refused', () => {
    const bytes = encodeProfiles(index);
    const refused = expect.objectContaining({ code: 'snapshot_corrupt' });
    for (const length of [0, 1, bytes.length >> 1, bytes.length - 1]) expect(() => decodeProfiles(bytes.slice(0, length))).toThrow(refused);
    expect(() => decodeProfiles(Uint8Array.of(0x80))).toThrow(refused);
  });
});
