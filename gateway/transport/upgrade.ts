import type { GatehouseError } from '../../contracts/errors.ts';
import type { Exchange } from './exchange.ts';
import type { HttpResponse } from './http.ts';
import type { NativeApp, NativeRequest, NativeResponse } from './native.ts';
import { chooseSubprotocol, type UserData, UwsSocket, type WsRoute } from './socket.ts';

/** The one version of RFC 6455. The addon would upgrade any. */
const WEBSOCKET_VERSION = '13';
/**
 * The addon's own idle limit. Sessions ping well within it and close idle peers with a reason; this one is the backstop for sockets that
 * sent their close frame to a peer that is gone.
 */
const IDLE_BACKSTOP_S = 120;
/** No limit: the addon would drop messages silently at one. Whoever owns the socket keeps an outbox with limits of its own. */
const BACKPRESSURE_UNLIMITED = 0;
/** Alerts are small, and a compression window costs memory for each connection. */
const COMPRESSION_OFF = 0;

/** RFC 6455 4.4: says which version to come back with. */
export const UPGRADE_REQUIRED: HttpResponse = {
  status: 426,
  headers: { 'content-type': 'text/plain', upgrade: 'websocket', 'sec-websocket-version': WEBSOCKET_VERSION },
  body: 'Open this address as a WebSocket of version 13.\n',
};

export interface UpgradeHost {
  refuse(exchange: Exchange, error: GatehouseError): void;
  answer(exchange: Exchange, response: HttpResponse): void;
  /** The exchange became a socket: book it as done. */
  forget(exchange: Exchange): void;
}

/** Serve WebSockets at the route's path. `begin` copies and checks the request, as for any other. */
export function registerWs(
  app: NativeApp,
  route: WsRoute,
  begin: (native: NativeResponse, request: NativeRequest) => Exchange | undefined,
  host: UpgradeHost,
): void {
  app.ws<UserData>(route.path, {
    maxPayloadLength: route.messageBytesMax,
    idleTimeout: IDLE_BACKSTOP_S,
    maxBackpressure: BACKPRESSURE_UNLIMITED,
    sendPingsAutomatically: false,
    compression: COMPRESSION_OFF,
    upgrade(native, request, context) {
      const exchange = begin(native, request);
      if (exchange === undefined) return;
      if (exchange.header('upgrade')?.toLowerCase() !== 'websocket' || exchange.header('sec-websocket-version') !== WEBSOCKET_VERSION) {
        host.answer(exchange, UPGRADE_REQUIRED);
        return;
      }
      const refusal = route.admit(exchange);
      if (refusal) {
        host.refuse(exchange, refusal);
        return;
      }
      const subprotocol = chooseSubprotocol(exchange.header('sec-websocket-protocol'), route.subprotocols);
      const socket = new UwsSocket({ subprotocol, token: exchange.queryValue('token'), remoteAddress: exchange.remoteAddress });
      const key = exchange.header('sec-websocket-key') ?? '';
      host.forget(exchange);
      native.upgrade<UserData>({ socket }, key, subprotocol ?? '', '', context);
    },
    open(native) {
      const { socket } = native.getUserData();
      socket.attach(native);
      socket.events = route.open(socket, socket.opening);
    },
    message(native, message, isBinary) {
      native.getUserData().socket.events?.message(new Uint8Array(message), isBinary);
    },
    pong(native) {
      native.getUserData().socket.events?.pong();
    },
    drain(native) {
      native.getUserData().socket.events?.drain();
    },
    close(native, code) {
      const { socket } = native.getUserData();
      socket.detach();
      socket.events?.close(code);
    },
  });
}
