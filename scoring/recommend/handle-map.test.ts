import fc from 'fast-check';
import { expect, test } from 'vitest';
import { HandleMap } from './handle-map.ts';

test('is a map, however often it is cleared and however much it grows', () => {
  const map = new HandleMap();
  const rounds = fc.array(fc.array(fc.oneof(fc.nat(40), fc.integer({ min: 0, max: 2 ** 31 - 1 })), { maxLength: 60 }), { maxLength: 5 });
  fc.assert(
    fc.property(rounds, (lists) => {
      for (const handles of lists) {
        map.clear();
        const model = new Map<number, number>();
        for (const handle of handles) {
          const at = map.add(handle);
          map.scores[at] = map.scores[at]! + handle;
          model.set(handle, (model.get(handle) ?? 0) + handle);
        }
        expect(map.count).toBe(model.size);
        expect(Array.from({ length: map.count }, (_, at) => [map.handleAt(at), map.scores[at]])).toEqual([...model]);
        for (let handle = 0; handle < 60; handle++) expect(map.has(handle)).toBe(model.has(handle));
      }
    }),
    { seed: 4, numRuns: 200 },
  );
  map.clear();
  for (let handle = 0; handle < 5_000; handle++) map.put(handle * 7, handle);
  for (let handle = 0; handle < 5_000; handle++) expect(map.scores[map.positionOf(handle * 7)]).toBe(handle);
  expect(map.positionOf(3)).toBe(-1);
});
