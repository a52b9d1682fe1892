import { type Acts, BOUGHT, type ShopLog } from './collect.ts';

/** From this share of acts on, visits of nobody in particular are what the log is made of. */
const SHARE_MIN = 0.5;
/** Below this share of acts, purchases are too few to ask for: films that were rated, songs that were played, pages that were read. */
const PURCHASES_MIN = 0.001;
/** From this share of acts on that come after another one of their user, and not at the same time: lines of one invoice have no order, ratings that were sent two by two have some. */
const STEPS_MIN = 1 / 3;

/**
 * Whether the next act is all that can be asked for, and all that is there to learn from: most acts are in a session and of no known user, or hardly
 * anything is bought.
 */
export function isNextActLog({ acts, visits }: Pick<ShopLog, 'acts' | 'visits'>): boolean {
  let anonymous = 0;
  for (let act = 0; act < acts.length; act++) if (acts.user[act]! < 0 && visits[acts.visit[act]!] !== undefined) anonymous++;
  return anonymous > SHARE_MIN * acts.length || (acts.length > 0 && purchaseShare(acts) < PURCHASES_MIN);
}

/** Whether what users do without a session id comes one by one, so that it tells of what they do next. A wholesaler's invoices do not. */
export function hasUserVisits({ acts, users, visits }: Pick<ShopLog, 'acts' | 'users' | 'visits'>): boolean {
  const lastMs = new Float64Array(users.size).fill(Number.NaN);
  let [steps, all] = [0, 0];
  for (let act = 0; act < acts.length; act++) {
    const user = acts.user[act]!;
    if (user < 0 || visits[acts.visit[act]!] !== undefined) continue;
    if (!Number.isNaN(lastMs[user])) {
      all++;
      if (lastMs[user]! < acts.atMs[act]!) steps++;
    }
    lastMs[user] = acts.atMs[act]!;
  }
  return steps > STEPS_MIN * all;
}

function purchaseShare(acts: Acts): number {
  let bought = 0;
  for (let act = 0; act < acts.length; act++) if (acts.grade[act] === BOUGHT) bought++;
  return bought / acts.length;
}
