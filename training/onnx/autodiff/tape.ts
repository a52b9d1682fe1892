import { type Attributes, type ElementType, GraphBuilder, type TensorData } from '../graph.ts';
import { reshapeTarget, type Shape, sameShape, sizeOf } from './shape.ts';

/** A value of the graph that is being written. */
export interface Value {
  readonly tape: Tape;
  readonly name: string;
  readonly shape: Shape;
  /** Whether a gradient may flow back through it. */
  readonly tracked: boolean;
}

/** For each input of an operation how its gradient is computed; only asked for where the input is tracked. Undefined: none flows. */
export type Pullback = readonly ((() => Value) | undefined)[];

/** Gets the gradient of every output, undefined where nothing depends on it. */
type MakePullback = (gradients: readonly (Value | undefined)[], outputs: readonly Value[]) => Pullback;

/** One operation of the forward half. Operators with several outputs have one record for all, as their gradients flow together. */
interface TapeRecord {
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
  readonly pullback: MakePullback;
}

export type FloatType = 'float32' | 'float64';

/**
 * Reverse-mode automatic differentiation over ONNX operators. Functions beside this file write an operation into the graph and record how
 * gradients pass back through it; `gradients` then writes the backward half into the same graph:
 *
 *     x, w ──► Gemm ──► Relu ──► … ──► loss          forward, recorded
 *        dw ◄── Gemm ◄── Mul ◄── … ◄── 1             backward, written by walking the records from the last to the first
 *
 * Without a call of `gradients` the graph is the forward half alone: the served model.
 */
export class Tape {
  readonly graph: GraphBuilder;
  readonly type: FloatType;
  readonly #records: TapeRecord[] = [];
  readonly #scalars = new Map<number, Value>();
  readonly #wholes = new Map<number, Value>();
  #recording = true;

  constructor(name: string, options: { readonly type?: FloatType; readonly metadata?: Readonly<Record<string, string>> } = {}) {
    this.type = options.type ?? 'float32';
    this.graph = new GraphBuilder(name, options.metadata ? { metadata: options.metadata } : {});
  }

  /** An input of the graph; `tracked` when its gradient will be wanted. */
  input(name: string, shape: Shape, options: { readonly type?: ElementType; readonly tracked?: boolean } = {}): Value {
    this.graph.input(name, options.type ?? this.type, shape);
    return { tape: this, name, shape, tracked: options.tracked ?? false };
  }

  /** A constant in the tape's own precision, or of whole numbers. */
  constant(name: string, data: TensorData, shape: readonly number[]): Value {
    const stored = this.type === 'float64' && data instanceof Float32Array ? Float64Array.from(data) : data;
    return this.wrap(this.graph.initializer(name, stored, shape), shape);
  }

  /** A constant of rank 0; equal ones are stored once. */
  scalar(value: number): Value {
    let found = this.#scalars.get(value);
    if (!found) {
      const data = this.type === 'float64' ? Float64Array.of(value) : Float32Array.of(value);
      found = this.wrap(this.graph.initializer(`number_${this.#scalars.size}`, data, []), []);
      this.#scalars.set(value, found);
    }
    return found;
  }

  /** An int64 constant of rank 0; equal ones are stored once. */
  whole(value: number): Value {
    let found = this.#wholes.get(value);
    if (!found) {
      found = this.wrap(this.graph.initializer(`whole_${this.#wholes.size}`, BigInt64Array.of(BigInt(value)), []), []);
      this.#wholes.set(value, found);
    }
    return found;
  }

  /** A value that the graph already has, untracked. */
  wrap(name: string, shape: Shape): Value {
    return { tape: this, name, shape, tracked: false };
  }

  /** Writes one operator with one output, not recorded. */
  node(op: string, inputs: readonly (Value | string)[], shape: Shape, attributes: Attributes = {}): Value {
    return this.wrap(this.graph.node(op, inputs.map(nameOf), attributes), shape);
  }

  /** Writes one operator with several outputs, not recorded. */
  nodes(op: string, inputs: readonly (Value | string)[], shapes: readonly Shape[], attributes: Attributes = {}): Value[] {
    return this.graph.nodes(op, inputs.map(nameOf), attributes, shapes.length).map((name, i) => this.wrap(name, shapes[i]!));
  }

  /**
   * An operation: `compute` writes the forward nodes (what it calls is not recorded on its own), `pullback` the backward ones.
   */
  apply(inputs: readonly Value[], compute: () => readonly Value[], pullback: MakePullback): readonly Value[] {
    const computed = this.#unrecorded(compute);
    if (!this.#recording || !inputs.some(({ tracked }) => tracked)) return computed;
    const outputs = computed.map((value) => ({ ...value, tracked: true }));
    this.#records.push({ inputs, outputs, pullback });
    return outputs;
  }

  /** `apply` for operations with one output. */
  applyOne(inputs: readonly Value[], compute: () => Value, pullback: (gradient: Value, output: Value) => Pullback): Value {
    return this.apply(
      inputs,
      () => [compute()],
      ([gradient], [output]) => pullback(gradient!, output!),
    )[0]!;
  }

  /** Declares a value as an output of the graph; returns the name given to it. */
  output(name: string, value: Value, type: ElementType = this.type): string {
    this.graph.node('Identity', [value.name], {}, name);
    this.graph.output(name, type, value.shape);
    return name;
  }

  /** Writes the backward half; returns d loss / d value for each of `wanted`, zeros where the loss does not depend on it. `loss` is a scalar. */
  gradients(loss: Value, wanted: readonly Value[]): Value[] {
    if (loss.shape.length !== 0) throw new Error(`the loss must be a scalar, not [${loss.shape.join(', ')}]`);
    const parts = new Map<string, Value[]>([[loss.name, [this.scalar(1)]]]);
    const totals = new Map<string, Value>();
    const total = (value: Value): Value | undefined => {
      const summands = parts.get(value.name);
      if (!summands) return undefined;
      let sum = totals.get(value.name);
      if (!sum) {
        sum = summands.length === 1 ? summands[0]! : this.node('Sum', summands, value.shape);
        totals.set(value.name, sum);
      }
      return sum;
    };
    this.#unrecorded(() => {
      for (const { inputs, outputs, pullback } of this.#records.toReversed()) {
        const gradients = outputs.map(total);
        if (gradients.every((gradient) => gradient === undefined)) continue;
        const back = pullback(gradients, outputs);
        if (back.length !== inputs.length) throw new Error(`a pullback has ${back.length} parts for ${inputs.length} inputs`);
        inputs.forEach((input, i) => {
          const compute = back[i];
          if (!input.tracked || !compute) return;
          const part = compute();
          if (!sameShape(part.shape, input.shape)) {
            throw new Error(`a gradient has shape [${part.shape.join(', ')}], its value [${input.shape.join(', ')}]`);
          }
          const list = parts.get(input.name);
          if (list) list.push(part);
          else parts.set(input.name, [part]);
        });
      }
    });
    return wanted.map((value) => total(value) ?? this.zeros(value.shape));
  }

  zeros(shape: Shape): Value {
    if (shape.every((dim) => typeof dim === 'number')) sizeOf(shape);
    return this.node('Expand', [this.scalar(0), this.graph.ints(...reshapeTarget(shape))], shape);
  }

  #unrecorded<T>(work: () => T): T {
    const before = this.#recording;
    this.#recording = false;
    try {
      return work();
    } finally {
      this.#recording = before;
    }
  }
}

function nameOf(input: Value | string): string {
  return typeof input === 'string' ? input : input.name;
}
