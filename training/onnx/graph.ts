import { ProtoWriter } from './protobuf.ts';

/** Numbers of onnx.proto's TensorProto.DataType. */
const ELEMENT_TYPE = { float32: 1, uint8: 2, int8: 3, int32: 6, int64: 7, string: 8, bool: 9, float64: 11 } as const;
export type ElementType = keyof typeof ELEMENT_TYPE;

/** A known size, or the name of one that the caller chooses at run time. */
export type Dim = number | string;

export type TensorData = Float32Array | Float64Array | Int32Array | BigInt64Array | Uint8Array | Int8Array;

export interface Constant {
  readonly data: TensorData;
  readonly dims: readonly number[];
  /** Only needed to tell bool from uint8. */
  readonly type?: ElementType;
}

/** An attribute says its kind, because a number alone cannot tell an ONNX float from an int. */
export type Attribute =
  | { readonly f: number }
  | { readonly i: number | bigint }
  | { readonly s: string }
  | { readonly t: Constant }
  | { readonly g: GraphBuilder }
  | { readonly floats: readonly number[] }
  | { readonly ints: readonly (number | bigint)[] }
  | { readonly strings: readonly string[] }
  | { readonly tensors: readonly Constant[] }
  | { readonly graphs: readonly GraphBuilder[] };

export type Attributes = Readonly<Record<string, Attribute>>;

export interface NodeOptions {
  /** Names of the outputs; made up when absent. An empty name leaves out an optional output. */
  readonly outputs?: readonly string[];
  readonly domain?: string;
}

export interface GraphOptions {
  /** The graph around a subgraph (If, Loop, Scan): its values may be used inside. */
  readonly outer?: GraphBuilder;
  /** Key and value texts kept in the file. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/** IR 10 with opset 21: onnx 1.16, read by every onnxruntime from 1.18 on. */
const IR_VERSION = 10;
const OPSET = 21;
/** The last one with TreeEnsembleRegressor's float attributes, which all runtimes have. */
const ML_OPSET = 3;
export const ML_DOMAIN = 'ai.onnx.ml';

/**
 * Builds an ONNX model node by node. Names are unique and defined before use (checked), nodes stay in the order of the calls,
 * and the same calls give the same bytes.
 */
export class GraphBuilder {
  readonly #name: string;
  readonly #outer: GraphBuilder | undefined;
  readonly #metadata: Readonly<Record<string, string>>;
  readonly #names = new Set<string>();
  readonly #inputs: ProtoWriter[] = [];
  readonly #outputs: ProtoWriter[] = [];
  readonly #initializers: ProtoWriter[] = [];
  readonly #nodes: ProtoWriter[] = [];
  #usesMl = false;
  #madeUp = 0;

  constructor(name: string, options: GraphOptions = {}) {
    this.#name = name;
    this.#outer = options.outer;
    this.#metadata = options.metadata ?? {};
  }

  /** Declares an input; returns its name. */
  input(name: string, type: ElementType, dims: readonly Dim[]): string {
    this.#inputs.push(valueInfo(name, type, dims));
    return this.#define(name);
  }

  /** Stores a constant; returns its name. */
  initializer(name: string, data: TensorData, dims: readonly number[], type?: ElementType): string {
    this.#initializers.push(tensorProto({ data, dims, ...(type ? { type } : {}) }, name));
    return this.#define(name);
  }

  /** A float32 scalar constant of rank 0. */
  scalar(value: number): string {
    return this.initializer(this.#unusedName('scalar'), Float32Array.of(value), []);
  }

  /** A rank 1 int64 constant: axes, shapes, indices. */
  ints(...values: readonly number[]): string {
    return this.initializer(this.#unusedName('ints'), BigInt64Array.from(values, BigInt), [values.length]);
  }

  /** Adds a node; an empty input name leaves out an optional input. Returns the names of its outputs. */
  nodes(op: string, inputs: readonly string[], attributes: Attributes, outputCount: number, options: NodeOptions = {}): readonly string[] {
    for (const input of inputs) if (input !== '' && !this.#knows(input)) throw new Error(`${op}: input ${input} is not defined`);
    const outputs = options.outputs ?? Array.from({ length: outputCount }, () => this.#unusedName(op.toLowerCase()));
    if (outputs.length !== outputCount) throw new Error(`${op}: ${outputs.length} output names for ${outputCount} outputs`);
    const node = new ProtoWriter();
    for (const input of inputs) node.string(1, input);
    for (const output of outputs) {
      node.string(2, output);
      if (output !== '') this.#define(output);
    }
    node.string(4, op);
    for (const [name, value] of Object.entries(attributes)) node.message(5, attributeProto(name, value));
    if (options.domain) node.string(7, options.domain);
    if (options.domain === ML_DOMAIN) this.#usesMl = true;
    this.#nodes.push(node);
    return outputs;
  }

  /** Adds a node with one output; returns its name. */
  node(op: string, inputs: readonly string[], attributes: Attributes = {}, output?: string, domain?: string): string {
    return this.nodes(op, inputs, attributes, 1, { ...(output ? { outputs: [output] } : {}), ...(domain ? { domain } : {}) })[0]!;
  }

  /** Declares a value as an output of the graph. */
  output(name: string, type: ElementType, dims: readonly Dim[]): void {
    if (!this.#knows(name)) throw new Error(`output ${name} is not defined`);
    this.#outputs.push(valueInfo(name, type, dims));
  }

  /** The whole model as an .onnx file. */
  toBytes(): Uint8Array {
    const model = new ProtoWriter().int(1, IR_VERSION).string(2, 'gatehouse').message(7, this.graphProto());
    model.message(8, new ProtoWriter().string(1, '').int(2, OPSET));
    if (this.#usesMl) model.message(8, new ProtoWriter().string(1, ML_DOMAIN).int(2, ML_OPSET));
    for (const [key, value] of Object.entries(this.#metadata)) model.message(14, new ProtoWriter().string(1, key).string(2, value));
    return model.finish();
  }

  /** The graph alone, as an attribute of a control flow node holds it. */
  graphProto(): ProtoWriter {
    const graph = new ProtoWriter();
    for (const node of this.#nodes) graph.message(1, node);
    graph.string(2, this.#name);
    for (const initializer of this.#initializers) graph.message(5, initializer);
    for (const input of this.#inputs) graph.message(11, input);
    for (const output of this.#outputs) graph.message(12, output);
    return graph;
  }

  #knows(name: string): boolean {
    return this.#names.has(name) || (this.#outer?.knowsName(name) ?? false);
  }

  /** Whether a value of this name exists here or in a graph around. */
  knowsName(name: string): boolean {
    return this.#knows(name);
  }

  #define(name: string): string {
    if (name === '') throw new Error('a value needs a name');
    // A subgraph may not shadow a name of the graph around it either.
    if (this.#knows(name)) throw new Error(`the name ${name} is taken`);
    this.#names.add(name);
    return name;
  }

  #unusedName(stem: string): string {
    for (;;) {
      const name = `${this.#outer ? `${this.#name}.` : ''}${stem}_${this.#madeUp++}`;
      if (!this.#knows(name)) return name;
    }
  }
}

function valueInfo(name: string, type: ElementType, dims: readonly Dim[]): ProtoWriter {
  const shape = new ProtoWriter();
  for (const dim of dims) shape.message(1, typeof dim === 'number' ? new ProtoWriter().int(1, dim) : new ProtoWriter().string(2, dim));
  const tensor = new ProtoWriter().int(1, ELEMENT_TYPE[type]).message(2, shape);
  return new ProtoWriter().string(1, name).message(2, new ProtoWriter().message(1, tensor));
}

function tensorProto({ data, dims, type }: Constant, name = ''): ProtoWriter {
  const count = dims.reduce((product, dim) => product * dim, 1);
  if (count !== data.length) throw new Error(`tensor ${name}: dims [${dims.join(', ')}] want ${count} values, there are ${data.length}`);
  const tensor = new ProtoWriter().packedInts(1, dims).int(2, ELEMENT_TYPE[type ?? typeOf(data)]);
  if (name !== '') tensor.string(8, name);
  // ONNX files are little-endian, and so is every machine that Node's binaries of the native addons run on. Copied, because
  // the caller may go on to change its array.
  return tensor.bytes(9, new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice());
}

function typeOf(data: TensorData): ElementType {
  if (data instanceof Float32Array) return 'float32';
  if (data instanceof Float64Array) return 'float64';
  if (data instanceof Int32Array) return 'int32';
  if (data instanceof BigInt64Array) return 'int64';
  return data instanceof Uint8Array ? 'uint8' : 'int8';
}

/** Field and type numbers of onnx.proto's AttributeProto. */
function attributeProto(name: string, value: Attribute): ProtoWriter {
  const proto = new ProtoWriter().string(1, name);
  if ('f' in value) return proto.float(2, value.f).int(20, 1);
  if ('i' in value) return proto.int(3, value.i).int(20, 2);
  if ('s' in value) return proto.string(4, value.s).int(20, 3);
  if ('t' in value) return proto.message(5, tensorProto(value.t)).int(20, 4);
  if ('g' in value) return proto.message(6, value.g.graphProto()).int(20, 5);
  if ('floats' in value) return proto.packedFloats(7, value.floats).int(20, 6);
  if ('ints' in value) return proto.packedInts(8, value.ints).int(20, 7);
  if ('strings' in value) {
    for (const text of value.strings) proto.string(9, text);
    return proto.int(20, 8);
  }
  if ('tensors' in value) {
    for (const tensor of value.tensors) proto.message(10, tensorProto(tensor));
    return proto.int(20, 9);
  }
  for (const graph of value.graphs) proto.message(11, graph.graphProto());
  return proto.int(20, 10);
}
