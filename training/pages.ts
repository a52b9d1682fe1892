import { BOUGHT, type ShopLog } from './collect.ts';

/** No page of an item was open. */
export const NO_PAGE = -1;
const LOOKED = 1;

/**
 * On whose page the visitor was just before each act: the item that they looked at last in the visit, as a position in `items`. `NO_PAGE` where they
 * had looked at none since they last bought, and where the act says nothing of what the page led to: one of its own item, and a purchase, which comes from the
 * checkout. Rows of one record have the same page.
 */
export function pagesBefore({ acts, visits }: Pick<ShopLog, 'acts' | 'visits'>): Int32Array {
  const open = new Int32Array(visits.length).fill(NO_PAGE);
  const pages = new Int32Array(acts.length);
  for (let from = 0, until = 0; from < acts.length; from = until) {
    const visit = acts.visit[from]!;
    const grade = acts.grade[from]!;
    const page = open[visit]!;
    while (until < acts.length && acts.record[until] === acts.record[from]) until++;
    for (let act = from; act < until; act++) pages[act] = grade === BOUGHT || acts.item[act] === page ? NO_PAGE : page;
    if (grade === BOUGHT) open[visit] = NO_PAGE;
    // Several items at once are looked at in a list, not on a page.
    else if (grade === LOOKED) open[visit] = until - from === 1 ? acts.item[from]! : NO_PAGE;
  }
  return pages;
}
