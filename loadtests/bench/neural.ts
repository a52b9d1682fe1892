/**
 * Training steps per second of the neural learners against PyTorch on the CPU: the same work, sizes and threads, in turns within one run, so that a
 * busy machine slows both. A step draws its rows, computes loss and gradients, and lets Adam move the weights (lazily for embedding tables).
 *
 *   sh loadtests/bench/python-env.sh      (once, some gigabytes; users of Gatehouse never need it)
 *   node dist/loadtests/bench/neural.js [rounds] [threads] [works, separated by commas]     (default 12, 2 and all)
 *
 * Where other processes keep the cores busy, only 1 thread tells something, and best by processor time: with more threads both sides wait for
 * threads that do not run.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { tower, towerSpecs } from '../../training/learners/neural/dense.ts';
import { createEmbedding } from '../../training/learners/neural/embedding.ts';
import { ENCODERS, type EncoderName } from '../../training/learners/neural/encoders.ts';
import { NEXT_ITEM_DEFAULTS, nextItemLoss } from '../../training/learners/neural/nextItem.ts';
import { createOptimiser } from '../../training/learners/neural/optimiser.ts';
import { compileStep, TRAINING_THREADS } from '../../training/learners/neural/step.ts';
import { TWO_TOWER_DEFAULTS, twoTowerLoss } from '../../training/learners/neural/twoTower.ts';
import { createWeights, denseSpecs } from '../../training/learners/neural/weights.ts';
import { type Random, seededRandom } from '../../training/learners/random.ts';
import { reshape } from '../../training/onnx/autodiff/layout.ts';
import { binaryCrossEntropy, weightedSum } from '../../training/onnx/autodiff/loss.ts';

const SIZES = {
  mlp: { rows: 20_000, inputs: 64, hidden: [256, 128], batch: 256 },
  two_tower: { items: 50_000, width: 64, hidden: [128], batch: 512, history: 10 },
  sasrec: { items: 50_000, width: 64, heads: 2, blocks: 1, steps: 20, n: 128, negatives: 1024 },
  gru: { items: 50_000, width: 100, steps: 20, n: 128, negatives: 1024 },
  lstm: { items: 50_000, width: 100, steps: 20, n: 128, negatives: 1024 },
} as const;
type Work = keyof typeof SIZES;

/** Steps of one turn: long enough to warm caches again, short enough that both sides meet the same machine. */
const STEPS_A_TURN: Record<Work, number> = { mlp: 100, two_tower: 30, sasrec: 5, gru: 5, lstm: 5 };
const PYTHON = '.venv-bench/bin/python';
const steady = { learningRate: 1e-3, warmupSteps: 0, finalShare: 1, totalSteps: 1e9, clipNorm: 0 };

type Stepper = () => Promise<number>;

async function mlp(random: Random, threads: number): Promise<Stepper> {
  const { rows, inputs, hidden, batch } = SIZES.mlp;
  const table = Float32Array.from({ length: rows * inputs }, () => random.normal());
  const labels = Float32Array.from({ length: rows }, () => random.int(2));
  const weights = createWeights(towerSpecs('layer', inputs, hidden, 1), random);
  const optimiser = createOptimiser(weights, [], steady);
  const step = await compileStep(
    'mlp',
    weights,
    (given) => {
      const logits = tower('layer', given.floats('rows', [batch, inputs]), hidden.length, given.weight);
      return weightedSum(binaryCrossEntropy(reshape(logits, [batch]), given.floats('targets', [batch])), given.floats('row_weights', [batch]));
    },
    { threads },
  );
  step.floats['row_weights']!.fill(1 / batch);
  return async () => {
    for (let i = 0; i < batch; i++) {
      const row = random.int(rows);
      step.floats['rows']!.set(table.subarray(row * inputs, (row + 1) * inputs), i * inputs);
      step.floats['targets']![i] = labels[row]!;
    }
    const loss = await step.run();
    optimiser.step();
    return loss;
  };
}

const fillRandom = (into: Int32Array, bound: number, random: Random): void => {
  for (let i = 0; i < into.length; i++) into[i] = random.int(bound);
};

async function twoTower(random: Random, threads: number): Promise<Stepper> {
  const { items, width, hidden, batch, history } = SIZES.two_tower;
  const params = { ...TWO_TOWER_DEFAULTS, width, hidden, batchSize: batch };
  const weights = createWeights([...towerSpecs('query', width, hidden, width), ...towerSpecs('item', width, hidden, width)], random);
  const embedding = createEmbedding(items, width, random, (source) => source.normal());
  const optimiser = createOptimiser(weights, [embedding], steady);
  const { floats, rowGradients, run } = await compileStep(
    'two_tower',
    weights,
    (given) => twoTowerLoss(given, params, { queryInputs: 0, itemInputs: 0 }),
    { threads },
  );
  floats['is_known']!.fill(1);
  floats['correction']!.fill(-Math.log((batch - 1) / items));
  floats['pair_weights']!.fill(1 / batch);
  const targets = new Int32Array(batch);
  const met = new Int32Array(batch * history);
  return async () => {
    fillRandom(targets, items, random);
    fillRandom(met, items, random);
    for (let pair = 0; pair < batch; pair++) embedding.readMean(met, pair * history, history, floats['histories']!, pair * width);
    embedding.read(targets, batch, floats['items']!);
    floats['own_items']!.set(targets);
    floats['other_items']!.set(targets);
    const loss = await run();
    embedding.add(targets, batch, rowGradients['items']!);
    for (let pair = 0; pair < batch; pair++) embedding.addShares(met, pair * history, history, rowGradients['histories']!, pair * width);
    optimiser.step();
    return loss;
  };
}

async function nextItem(encoder: EncoderName, random: Random, threads: number): Promise<Stepper> {
  const { items, width, steps, n, negatives, ...shape } = SIZES[encoder as 'gru'];
  const params = { ...NEXT_ITEM_DEFAULTS, ...shape, encoder, width, lengthMax: steps, negatives, dropout: 0 };
  const specs = [...ENCODERS[encoder].specs(params), ...denseSpecs('state', width, width), ...denseSpecs('click', width, width).slice(0, 1)];
  const weights = createWeights(specs, random);
  const embedding = createEmbedding(items, width, random, (source) => source.normal());
  const bias = createEmbedding(items, 1, random, () => 0);
  const optimiser = createOptimiser(weights, [embedding, bias], steady);
  const { floats, rowGradients, run } = await compileStep(encoder, weights, (given) => nextItemLoss(given, { steps, n }, params), { threads });
  const targets = steps * n;
  floats['target_weights']!.fill(1 / targets);
  floats['negative_correction']!.fill(-Math.log(negatives / items));
  const clicks = new Int32Array(targets + n);
  const drawn = new Int32Array(negatives);
  return async () => {
    fillRandom(clicks, items, random);
    fillRandom(drawn, items, random);
    embedding.read(clicks, clicks.length, floats['clicks']!);
    embedding.read(drawn, negatives, floats['negatives']!);
    bias.read(clicks.subarray(n), targets, floats['target_bias']!);
    bias.read(drawn, negatives, floats['negative_bias']!);
    floats['target_items']!.set(clicks.subarray(n));
    floats['negative_items']!.set(drawn);
    const loss = await run();
    embedding.add(clicks, clicks.length, rowGradients['clicks']!);
    embedding.add(drawn, negatives, rowGradients['negatives']!);
    bias.add(clicks.subarray(n), targets, rowGradients['target_bias']!);
    bias.add(drawn, negatives, rowGradients['negative_bias']!);
    optimiser.step();
    return loss;
  };
}

interface Turn {
  readonly times: number[];
  readonly cpuMs: number;
  readonly loss: number;
  readonly version: string;
}

/** PyTorch in a process of its own, asleep while it is not asked. */
function startTorch(setting: object): { turn(work: Work, steps: number): Promise<Turn>; end(): void } {
  const child = spawn(PYTHON, ['loadtests/bench/neural_torch.py'], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  child.stdin.write(`${JSON.stringify(setting)}\n`);
  return {
    async turn(work, steps) {
      child.stdin.write(`${work} ${steps}\n`);
      const { value, done } = await lines.next();
      if (done) throw new Error('PyTorch ended early');
      return JSON.parse(value) as Turn;
    },
    end: () => child.stdin.end(),
  };
}

function median(times: number[]): number {
  return times.sort((a, b) => a - b)[times.length >> 1]!;
}

async function main(): Promise<void> {
  const rounds = Number(process.argv[2] ?? 12);
  const threads = Number(process.argv[3] ?? TRAINING_THREADS);
  const works = (process.argv[4]?.split(',') ?? Object.keys(SIZES)) as Work[];
  if (!existsSync(PYTHON)) throw new Error(`${PYTHON} is missing: see the head of this file`);
  const random = seededRandom(1);
  const torch = startTorch({ threads, works: Object.fromEntries(works.map((work) => [work, SIZES[work]])) });
  const out = (line: string) => process.stdout.write(`${line}\n`);
  out(`threads: ${threads} each, ${rounds} turns; medians over all steps`);
  out(
    `${'work'.padEnd(12)}${'here, steps/s'.padStart(16)}${'PyTorch, steps/s'.padStart(18)}${'ratio'.padStart(8)}${'CPU ms a step'.padStart(16)}${'ratio'.padStart(8)}   last losses`,
  );
  for (const work of works) {
    const stepper = await (work === 'mlp'
      ? mlp(random, threads)
      : work === 'two_tower'
        ? twoTower(random, threads)
        : nextItem(work, random, threads));
    const steps = STEPS_A_TURN[work];
    const [own, theirs]: [number[], number[]] = [[], []];
    let [loss, torchLoss, cpuMs, torchCpuMs] = [0, 0, 0, 0];
    for (let round = -1; round < rounds; round++) {
      const turn: number[] = [];
      const cpuStart = process.cpuUsage();
      for (let i = 0; i < steps; i++) {
        const start = performance.now();
        loss = await stepper();
        turn.push(performance.now() - start);
      }
      const used = process.cpuUsage(cpuStart);
      const answer = await torch.turn(work, steps);
      torchLoss = answer.loss;
      // The first round warms both up.
      if (round < 0) continue;
      own.push(...turn);
      theirs.push(...answer.times);
      cpuMs += (used.user + used.system) / 1000 / (rounds * steps);
      torchCpuMs += answer.cpuMs / (rounds * steps);
    }
    const [a, b] = [1000 / median(own), 1000 / median(theirs)];
    const wall = `${a.toFixed(1).padStart(16)}${b.toFixed(1).padStart(18)}${(a / b).toFixed(2).padStart(8)}`;
    const cpu = `${`${cpuMs.toFixed(2)} ${torchCpuMs.toFixed(2)}`.padStart(16)}${(torchCpuMs / cpuMs).toFixed(2).padStart(8)}`;
    out(`${work.padEnd(12)}${wall}${cpu}   ${loss.toFixed(3)} ${torchLoss.toFixed(3)}`);
  }
  torch.end();
}

await main();
