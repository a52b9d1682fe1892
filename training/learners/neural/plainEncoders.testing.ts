import type { EncoderName } from './encoders.ts';
import type { NextItemModel } from './nextItemModel.ts';

/** The encoders of next item models in plain float64 loops, as the papers and PyTorch write them: what a served file must answer. */
type Vector = readonly number[];
type Plain = (model: NextItemModel, x: readonly Vector[]) => Vector;

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
const dot = (a: Vector, b: Vector): number => a.reduce((sum, x, i) => sum + x * b[i]!, 0);
const plus = (a: Vector, b: Vector): number[] => a.map((x, i) => x + b[i]!);
const values = ({ weights }: NextItemModel, name: string): Vector => [...weights[name]!.value];

/** x W + b, W [inputs, outputs]; without a bias where there is none. */
function dense(model: NextItemModel, name: string, x: Vector): number[] {
  const weight = model.weights[`${name}.weight`]!;
  const bias = model.weights[`${name}.bias`]?.value;
  const outputs = weight.shape[1]!;
  return Array.from({ length: outputs }, (_, to) =>
    x.reduce((sum, value, from) => sum + value * weight.value[from * outputs + to]!, bias?.[to] ?? 0),
  );
}

function norm(model: NextItemModel, name: string, x: Vector): number[] {
  const centre = x.reduce((sum, value) => sum + value / x.length, 0);
  const variance = x.reduce((sum, value) => sum + (value - centre) ** 2 / x.length, 0);
  const [gain, bias] = [values(model, `${name}.gain`), values(model, `${name}.bias`)];
  return x.map((value, i) => ((value - centre) / Math.sqrt(variance + 1e-5)) * gain[i]! + bias[i]!);
}

/** Of each gate what comes from the click and what from the state, [gates][width]. */
function gates(model: NextItemModel, name: string, count: number, x: Vector, state: Vector): [number[][], number[][]] {
  const part = (matrix: string, bias: string, from: Vector): number[][] => {
    const [rows, offsets] = [values(model, `${name}.${matrix}`), values(model, `${name}.${bias}`)];
    const { width } = model;
    const value = (row: number) => offsets[row]! + dot(from, rows.slice(row * width, (row + 1) * width));
    return Array.from({ length: count }, (_, gate) => from.map((_, unit) => value(gate * width + unit)));
  };
  return [part('input', 'input_bias', x), part('recurrent', 'recurrent_bias', state)];
}

const zeros = ({ width }: NextItemModel): number[] => new Array<number>(width).fill(0);

const gru: Plain = (model, clicks) =>
  clicks.reduce<Vector>((before, x) => {
    const [[zx, rx, cx], [zh, rh, ch]] = gates(model, 'gru', 3, x, before);
    return before.map((h, i) => {
      const update = sigmoid(zx![i]! + zh![i]!);
      return (1 - update) * Math.tanh(cx![i]! + sigmoid(rx![i]! + rh![i]!) * ch![i]!) + update * h;
    });
  }, zeros(model));

/** Gates in ONNX's order: input, output, forget, cell. */
const lstm: Plain = (model, clicks) => {
  let [state, cell] = [zeros(model), zeros(model)];
  for (const x of clicks) {
    const [fromClick, fromState] = gates(model, 'lstm', 4, x, state);
    const [input, output, forget, candidate] = fromClick.map((gate, g) => plus(gate, fromState[g]!));
    cell = cell.map((c, i) => sigmoid(forget![i]!) * c + sigmoid(input![i]!) * Math.tanh(candidate![i]!));
    state = cell.map((c, i) => sigmoid(output![i]!) * Math.tanh(c));
  }
  return state;
};

const relu = (x: Vector): number[] => x.map((value) => Math.max(0, value));
const scaled = ({ width }: NextItemModel, x: Vector): number[] => x.map((value) => value * Math.sqrt(width));

const sasrec: Plain = (model, clicks) => {
  const { width, heads, blocks } = model;
  const positions = values(model, 'positions');
  let x = clicks.map((click, t) => plus(scaled(model, click), positions.slice(t * width, (t + 1) * width)));
  for (let block = 0; block < blocks; block++) {
    const name = `block${block}`;
    const before = x.map((one) => norm(model, `${name}.before_attention`, one));
    const [query, key, value] = ['query', 'key', 'value'].map((part) => before.map((one) => dense(model, `${name}.${part}`, one)));
    x = x.map((one, t) => {
      const perHead = width / heads;
      const mixed = Array.from({ length: heads }, (_, head) => {
        const cut = (v: Vector) => v.slice(head * perHead, (head + 1) * perHead);
        const shares = key!.slice(0, t + 1).map((k) => Math.exp(dot(cut(query![t]!), cut(k)) / Math.sqrt(perHead)));
        const total = shares.reduce((sum, share) => sum + share, 0);
        return cut(value![0]!).map((_, i) => shares.reduce((sum, share, s) => sum + (share / total) * cut(value![s]!)[i]!, 0));
      }).flat();
      return plus(one, dense(model, `${name}.mix`, mixed));
    });
    x = x.map((one) => plus(one, dense(model, `${name}.narrow`, relu(dense(model, `${name}.widen`, norm(model, `${name}.before_network`, one))))));
  }
  return norm(model, 'last', x.at(-1)!);
};

const cnn: Plain = (model, clicks) => {
  let x = clicks.map((click) => scaled(model, click));
  for (let block = 0; block < model.blocks; block++) {
    const name = `block${block}`;
    const before = x.map((one) => norm(model, `${name}.before`, one));
    x = x.map((one, t) => {
      const taps = Array.from({ length: model.kernel }, (_, k) => before[t - 2 ** block * (model.kernel - 1 - k)] ?? zeros(model));
      return plus(one, dense(model, `${name}.mix`, relu(dense(model, `${name}.taps`, taps.flat()))));
    });
  }
  return x.at(-1)!;
};

const STATES: Readonly<Record<EncoderName, Plain>> = { gru, lstm, sasrec, cnn };

/** What `query` of the served file must be after the clicks of `context`; numbers that are no item's are no clicks. */
export function plainQuery(model: NextItemModel, context: readonly number[]): number[] {
  const { width, itemEmbeddings, logitScale, items } = model;
  const clicks = context.filter((item) => item >= 0 && item < items).map((item) => [...itemEmbeddings.subarray(item * width, (item + 1) * width)]);
  const out = plus(dense(model, 'state', STATES[model.encoder](model, clicks)), dense(model, 'click', clicks.at(-1)!));
  const length = Math.hypot(...out);
  return [...out.map((x) => (logitScale * x) / length), 1];
}
