import { Compile } from 'typebox/compile';
import { expect, test } from 'vitest';
import { Item } from './item.ts';

const shape = Compile(Item);

test.each([{ colour: 'red' }, { weight_g: 12.5, gift: true }, {}])('attributes %j are taken', (attributes) => {
  expect(shape.Check({ item_id: 'lamp', attributes })).toBe(true);
});

test.each([{ 'a b': 'x' }, { Colour: 'red' }, { '1st': 'x' }, { ok: { nested: true } }, { 'A B': { nested: { deeper: [1] } } }, { ok: null }])(
  'attributes %j are refused',
  (attributes) => {
    expect(shape.Check({ item_id: 'lamp', attributes })).toBe(false);
  },
);
