import { describe, expect, test } from 'vitest';
import type { Restriction } from '../../contracts/restriction.ts';
import { DECISIONS } from '../../contracts/score.ts';
import { imposedBy, meansOf, reasonOf, restrictable } from './restrictions.ts';

const NOW_MS = Date.UTC(2026, 0, 1);
const TERMS = { suspend: 7_000, restrict_payment_method: 1_000 };
const REQUEST = { transaction_id: 't1', user_id: 'u1', card_id: 'c1', payment_method: 'card' };
const REASONS = [{ code: 'rule:many', text: 'Many cards' }];

test('a card is restricted wherever it turns up, another method for its user alone', () => {
  expect(meansOf(REQUEST)).toEqual({ kind: 'card', id: 'c1' });
  expect(meansOf({ user_id: 'u1', payment_method: 'invoice' })).toEqual({ kind: 'payment_method', id: 'u1|invoice' });
  expect(meansOf({ user_id: 'u1' })).toBeUndefined();
  expect(restrictable({ user_id: 'u1' })).toEqual([{ kind: 'user', id: 'u1' }]);
});

describe('what a decision imposes', () => {
  test('suspend holds for the user, restrict for the means, each for its time', () => {
    expect(imposedBy(REQUEST, 'suspend', REASONS, TERMS, NOW_MS)).toMatchObject({
      action: 'suspend',
      entity: { kind: 'user', id: 'u1' },
      reason: 'Many cards',
      transaction_id: 't1',
      from_ms: NOW_MS,
      until_ms: NOW_MS + 7_000,
    });
    expect(imposedBy(REQUEST, 'restrict_payment_method', [], TERMS, NOW_MS)).toMatchObject({
      entity: { kind: 'card', id: 'c1' },
      reason: 'restrict_payment_method',
      until_ms: NOW_MS + 1_000,
    });
  });

  test('is the same for everyone who decides the same payment', () => {
    const [a, b] = [NOW_MS, NOW_MS + 5].map((atMs) => imposedBy(REQUEST, 'suspend', REASONS, TERMS, atMs)!.restriction_id);
    expect(a).toBe(b);
    expect(imposedBy({ ...REQUEST, transaction_id: 't2' }, 'suspend', REASONS, TERMS, NOW_MS)!.restriction_id).not.toBe(a);
  });

  test('is nothing for every other decision, and where no means is named', () => {
    for (const decision of DECISIONS) {
      if (decision === 'suspend' || decision === 'restrict_payment_method') continue;
      expect(imposedBy(REQUEST, decision, REASONS, TERMS, NOW_MS)).toBeUndefined();
    }
    expect(imposedBy({ transaction_id: 't1', user_id: 'u1' }, 'restrict_payment_method', REASONS, TERMS, NOW_MS)).toBeUndefined();
  });
});

test('its reason is a sentence with the end and the cause', () => {
  const restriction: Restriction = {
    restriction_id: 'r1',
    action: 'suspend',
    entity: { kind: 'user', id: 'u1' },
    reason: 'Many cards',
    from_ms: 0,
    until_ms: NOW_MS,
  };
  expect(reasonOf(restriction)).toEqual({ code: 'restriction:r1', text: 'The user is suspended until 2026-01-01T00:00:00.000Z: Many cards' });
});
