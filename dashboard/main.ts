import { type AlertStream, openAlertStream, type StreamState } from '../client/alert-stream.ts';
import type { AlertsResponse, BundlesResponse, ControlStreamTokenResponse, ReadyResponse, TrafficResponse } from '../contracts/control.ts';
import { AlertsView } from './alerts-view.ts';
import { ApiError, call, session } from './api.ts';
import { BundlesView } from './bundles-view.ts';
import { byId, setText } from './dom.ts';
import { TrafficView } from './traffic-view.ts';

const TRAFFIC_EVERY_MS = 1000;
const STATUS_EVERY_MS = 5000;
/** What a desk sees when it opens the page: the last alerts, then all new ones. */
const HISTORY_ALERTS = 100;
/** Far above any offset, so that the answer holds the position and no alerts. */
const BEHIND_ALL = 999_999_999_999_999;
const THEME_KEY = 'gatehouse.theme';

const STREAM_TEXTS: Readonly<Record<StreamState, readonly [string, string]>> = {
  connecting: ['waiting', 'Connecting'],
  live: ['good', 'Live'],
  waiting: ['waiting', 'Reconnecting'],
  closed: ['bad', 'Closed'],
};

const views = { alerts: new AlertsView(), traffic: new TrafficView(), bundles: new BundlesView(() => void refreshStatus()) };
let stream: AlertStream | undefined;
let timers: ReturnType<typeof setInterval>[] = [];

function pill(id: string, tone: string, text: string, title = ''): void {
  const element = byId(id, HTMLElement);
  element.className = `pill ${tone}`;
  element.title = title;
  setText(element, text);
}

function notice(text: string | undefined): void {
  const element = byId('notice', HTMLElement);
  element.hidden = text === undefined;
  setText(element, text ?? '');
}

/** A refused token ends the session; anything else is shown and tried again. */
function failed(error: unknown): void {
  if (error instanceof ApiError && (error.status === 401 || error.status === 403)) signOut('The token is not valid any more.');
  else notice(error instanceof Error ? error.message : String(error));
}

async function refreshTraffic(): Promise<void> {
  // A tab in the background asks for nothing; the minute that it missed comes with the next answer.
  if (document.hidden) return;
  try {
    views.traffic.update(await call<TrafficResponse>('GET', '/v1/traffic'));
    notice(undefined);
  } catch (error) {
    failed(error);
  }
}

async function refreshStatus(): Promise<void> {
  try {
    const [ready, bundles] = await Promise.all([call<ReadyResponse>('GET', '/readyz'), call<BundlesResponse>('GET', '/v1/bundles')]);
    pill('ready', ready.ready ? 'good' : 'bad', ready.ready ? 'Ready' : 'Not ready', ready.reasons.join('\n'));
    const reasons = byId('reasons', HTMLElement);
    reasons.hidden = ready.ready;
    setText(reasons, `Not ready: ${ready.reasons.join('; ')}`);
    views.bundles.update(bundles);
  } catch (error) {
    pill('ready', 'bad', 'Unreachable');
    failed(error);
  }
}

async function startStream(): Promise<void> {
  const { position, first } = await call<AlertsResponse>('GET', `/v1/alerts?after=${BEHIND_ALL}&limit=1`);
  const grant = (): Promise<ControlStreamTokenResponse> => call('POST', '/v1/stream-token');
  const { url } = await grant();
  stream = openAlertStream({
    url,
    token: async () => (await grant()).token,
    onState: (state, { gap }) => {
      pill('stream', ...STREAM_TEXTS[state]);
      if (gap !== undefined) byId('alert-gap', HTMLElement).hidden = false;
    },
    onAlert: (alert) => views.alerts.add(alert),
    onError: failed,
    after: { offset: Math.max(first - 1, position.offset - HISTORY_ALERTS, 0), epoch: position.epoch },
  });
}

async function signIn(): Promise<void> {
  await startStream();
  byId('sign-in', HTMLElement).hidden = true;
  byId('app', HTMLElement).hidden = false;
  void refreshTraffic();
  void refreshStatus();
  timers = [setInterval(() => void refreshTraffic(), TRAFFIC_EVERY_MS), setInterval(() => void refreshStatus(), STATUS_EVERY_MS)];
}

function signOut(why: string): void {
  session.token = null;
  stream?.close();
  stream = undefined;
  for (const timer of timers) clearInterval(timer);
  timers = [];
  views.alerts.clear();
  byId('alert-gap', HTMLElement).hidden = true;
  byId('app', HTMLElement).hidden = true;
  byId('sign-in', HTMLElement).hidden = false;
  setText(byId('sign-in-problem', HTMLElement), why);
  byId('token', HTMLInputElement).focus();
}

byId('sign-in-form', HTMLFormElement).addEventListener('submit', (event) => {
  event.preventDefault();
  const input = byId('token', HTMLInputElement);
  session.token = input.value.trim();
  input.value = '';
  signIn().catch((error: unknown) => signOut(error instanceof ApiError && error.status === 401 ? 'This is not the admin token.' : String(error)));
});
byId('sign-out', HTMLButtonElement).addEventListener('click', () => signOut(''));

/** The system's theme until the button is pressed; then the chosen one, also after a reload. */
function theme(name: string): void {
  document.documentElement.dataset['theme'] = name;
  localStorage.setItem(THEME_KEY, name);
}
byId('theme', HTMLButtonElement).addEventListener('click', () => {
  const dark = document.documentElement.dataset['theme'] ?? (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light');
  theme(dark === 'dark' ? 'light' : 'dark');
});
const chosen = localStorage.getItem(THEME_KEY);
if (chosen !== null) theme(chosen);

if (session.token === null) signOut('');
else signIn().catch((error: unknown) => signOut(error instanceof Error ? error.message : String(error)));
