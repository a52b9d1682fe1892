import { DEFAULT_PLACEMENTS } from '../../scoring/recommend/placements.ts';
import { actOut, type Shop } from '../../simulator/index.ts';
import { ARMS } from './arms.ts';
import { Crowd } from './crowd.ts';
import { type Gate, openGate } from './gate.ts';
import { Judge } from './list-judge.ts';
import { WEEK_MS } from './options.ts';

/** One course of the shop, whose pages show a gateway's lists from `fromMs`; it is trained anew at the end of each week. */
export async function play(shop: Shop, arm: string, fromMs: number): Promise<Judge> {
  const { seed, startMs, endMs } = shop.settings;
  const placements = DEFAULT_PLACEMENTS.map(ARMS[arm]!.placement);
  const judge = new Judge(shop, placements, fromMs);
  let crowd: Crowd | undefined;
  const gate: Gate = await openGate(placements, seed, () => crowd?.nowMs ?? startMs);
  try {
    crowd = new Crowd({
      shop,
      client: gate.client,
      fromMs,
      happened: (event) => judge.happened(event),
      given: (list) => judge.given(list),
      offered: (items) => judge.offered(items),
      dayEnded: async (atMs) => {
        if (atMs < fromMs || (atMs - fromMs) % WEEK_MS !== 0 || atMs >= endMs) return;
        process.stderr.write(`seed ${seed}, ${arm}: ${Math.round((endMs - atMs) / WEEK_MS)} weeks left\n`);
        await gate.activate((await gate.train()).version);
      },
    });
    await crowd.offer(startMs);
    await actOut(shop.world, crowd);
    return judge;
  } finally {
    await gate.close();
  }
}
