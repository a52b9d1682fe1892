import type { BacktestJob, BacktestsResponse, RulesResponse } from '../contracts/rules.ts';
import { ApiError, call, session } from './api.ts';
import { BacktestView } from './backtest-view.ts';
import { byId, setText } from './dom.ts';
import { ListsView } from './lists-view.ts';
import { RulesView } from './rules-view.ts';

/** Backtests and the breaker move by themselves. */
const REFRESH_MS = 1000;

const chosenTheme = localStorage.getItem('gatehouse.theme');
if (chosenTheme !== null) document.documentElement.dataset['theme'] = chosenTheme;

function status(text: string): void {
  const element = byId('status', HTMLElement);
  element.hidden = text === '';
  setText(element, text);
}

/** A token that is refused ends the work on this page; everything else is shown and tried again. */
function failed(error: unknown): void {
  if (error instanceof ApiError && error.status === 401) signedOut();
  else status(error instanceof Error ? error.message : String(error));
}

function signedOut(): void {
  session.token = null;
  byId('signed-out', HTMLElement).hidden = false;
  byId('app', HTMLElement).hidden = true;
}

const startBacktest = async (rules?: readonly { readonly id: string; readonly version: number }[]): Promise<void> => {
  await backtest.start(rules);
  await refresh();
};
const backtest = new BacktestView(failed);
const rules = new RulesView({ onError: status, onChange: () => void refresh(), backtest: startBacktest });
const lists = new ListsView();

async function refresh(): Promise<void> {
  if (document.hidden || session.token === null) return;
  try {
    const [answer, jobs] = await Promise.all([call<RulesResponse>('GET', '/v1/rules'), call<BacktestsResponse>('GET', '/v1/backtests')]);
    setText(byId('ruleset', HTMLElement), answer.ruleset);
    setText(byId('approval', HTMLElement), answer.approval === 'two_person' ? 'two people take a rule live' : 'one person takes a rule live');
    rules.update(answer);
    backtest.update(jobs.backtests as readonly BacktestJob[]);
  } catch (error) {
    failed(error);
  }
}

if (session.token === null) signedOut();
else {
  byId('app', HTMLElement).hidden = false;
  byId('backtest-all', HTMLButtonElement).addEventListener('click', () => void startBacktest().catch(failed));
  void refresh();
  void lists.load().catch(failed);
  setInterval(() => void refresh(), REFRESH_MS);
}
