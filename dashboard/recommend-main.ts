import { ApiError, session } from './api.ts';
import { byId } from './dom.ts';
import { EditorialView } from './editorial-view.ts';
import { TraceView } from './trace-view.ts';

const chosenTheme = localStorage.getItem('gatehouse.theme');
if (chosenTheme !== null) document.documentElement.dataset['theme'] = chosenTheme;

function signedOut(): void {
  session.token = null;
  byId('signed-out', HTMLElement).hidden = false;
  byId('app', HTMLElement).hidden = true;
}

/** A token that is refused ends the work on this page; the sentence of everything else is shown where it happened. */
function sentenceOf(error: unknown): string {
  if (error instanceof ApiError && error.status === 401) signedOut();
  return error instanceof Error ? error.message : String(error);
}

if (session.token === null) signedOut();
else {
  byId('app', HTMLElement).hidden = false;
  new TraceView(sentenceOf);
  void new EditorialView(sentenceOf).load();
}
