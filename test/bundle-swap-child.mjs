// A shop under load: `connections` callers score payments and ask for recommendations, one after another each, until told to stop. Its answer is
// how often each distinct answer came; anything that is not a whole answer counts as what it is.
import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

const [port, secret, connections, thinkMs] = process.argv.slice(2);
// All connections in turn: one that idled for the ten seconds after which a server may close it could be asked at that very moment, and fails as HTTP allows.
const agent = new Agent({ keepAlive: true, maxSockets: Number(connections), scheduling: 'fifo' });
const counts = {};
let running = true;
let transactions = 0;

function post(path, body) {
  return new Promise((resolve) => {
    const sent = request(
      { agent, host: '127.0.0.1', port, path, method: 'POST', headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json' } },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk) => {
          text += chunk;
        });
        response.on('error', (error) => resolve({ error: String(error) }));
        response.on('end', () => resolve(response.statusCode === 200 ? JSON.parse(text) : { error: `${response.statusCode} ${text}` }));
      },
    );
    sent.on('error', (error) => resolve({ error: String(error) }));
    sent.end(JSON.stringify(body));
  });
}

async function score() {
  const transaction_id = `t${transactions++}`;
  const answer = await post('/v1/score', { transaction_id, user_id: `u${transaction_id}`, amount: 10 });
  if (answer.error) return `score failed: ${answer.error}`;
  if (answer.transaction_id !== transaction_id) return 'score of another transaction';
  return `score ${answer.bundle} ${answer.decision} ${answer.score.toFixed(4)} ${answer.probability.toFixed(4)} ${answer.degraded}`;
}

async function recommend(caller) {
  const answer = await post('/v1/recommend', { user_id: `u${caller % 40}`, item_id: `i${caller % 60}`, limit: 5 });
  if (answer.error) return `recommend failed: ${answer.error}`;
  return `recommend ${answer.bundle} ${answer.items.map((item) => item.score).join(' ')} ${answer.degraded}`;
}

async function call(caller) {
  while (running) {
    const outcome = await (caller % 2 === 0 ? score() : recommend(caller));
    counts[outcome] = (counts[outcome] ?? 0) + 1;
    await sleep(Number(thinkMs));
  }
}

process.on('message', () => {
  running = false;
});
await Promise.all(Array.from({ length: Number(connections) }, (_, caller) => call(caller)));
agent.destroy();
process.send(counts, () => process.exit(0));
