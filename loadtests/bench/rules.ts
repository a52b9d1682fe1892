// What rules cost a payment: twenty live ones, with and without lists. `node dist/loadtests/bench/rules.js`
import { DEFAULT_DECLARATIONS } from '../../scoring/features/defaults.ts';
import { createFeatureEngine } from '../../scoring/features/engine.ts';
import { DEFAULT_LISTS, DEFAULT_RULES } from '../../scoring/risk/default-rules.ts';
import { RiskList, RiskLists } from '../../scoring/risk/lists.ts';
import { FRAUD_SET } from '../../scoring/risk/pipeline.ts';
import { RuleBook } from '../../scoring/risk/rules.ts';

const RULES = 20;
const ENTRIES = 1000;
const PAYMENTS = 200_000;
const ROUNDS = 5;

const names = createFeatureEngine(DEFAULT_DECLARATIONS).names(FRAUD_SET);
const lists = new RiskLists();
for (const about of DEFAULT_LISTS) {
  const list = new RiskList(about);
  for (let i = 0; i < ENTRIES; i++)
    list.set({ value: about.of === 'ip' ? `10.${i >> 8}.${i & 255}.0/24` : `v${i}`, reason: 'bench', author: 'bench', created_ms: 0 });
  lists.lists.set(about.name, list);
}
const plain = DEFAULT_RULES.filter(({ when }) => !when.includes('in_list'));
const twenty = (rules: typeof DEFAULT_RULES) => Array.from({ length: RULES }, (_, i) => ({ ...rules[i % rules.length]!, id: `r${i}` }));
// Whole and broken numbers, as a vector has them.
const vector = Float32Array.from(names, (_, i) => (i % 3 === 0 ? (i * 0.37) % 3 : i % 3));
const request = { transaction_id: 't', user_id: 'u', card_id: 'c', device_id: 'd', ip: '192.0.2.7', email_domain: 'shop.example', amount: 12 };

for (const [name, rules] of [
  ['without lists', twenty(plain)],
  ['with lists', [...twenty(plain).slice(DEFAULT_RULES.length - plain.length), ...DEFAULT_RULES.filter((rule) => !plain.includes(rule))]],
] as const) {
  const book = new RuleBook(rules, names, lists);
  const microseconds: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    // Processor time: the machine may be busy with others.
    const before = process.cpuUsage();
    for (let i = 0; i < PAYMENTS; i++) book.evaluate({ request, vector, score: 0.1, probability: 0.1, anomaly: 0.5, nowMs: i });
    microseconds.push(process.cpuUsage(before).user / PAYMENTS);
  }
  console.log(`${rules.length} live rules ${name}: ${Math.min(...microseconds).toFixed(2)} µs a payment`);
}
