import { GatehouseError } from '../../contracts/errors.ts';
import { ProtoWriter } from './protobuf.ts';

/** A whole model that becomes a part of a larger one. */
export interface Part {
  /** Unique; its values become `name.value`. */
  readonly name: string;
  readonly bytes: Uint8Array;
  /** For each input of the part the value that feeds it: `part.output` of an earlier part, or any other name: an input of the whole. */
  readonly inputs: Readonly<Record<string, string>>;
}

/**
 * Joins ONNX models into one: each part's nodes in the order of the parts, the outputs of the last part under their own names. Any model will do whose
 * nodes hold no graphs of their own, as long as all want the same operator sets. Throws `bundle_incompatible` for one that cannot be joined and
 * `bundle_corrupt` for bytes that are no model.
 */
export function composeOnnx(name: string, parts: readonly Part[]): Uint8Array {
  const opsets = new Map<string, number>();
  const graph = new ProtoWriter();
  const inputs = new Map<string, Uint8Array>();
  const values = new Set<string>();
  let irVersion = 0;
  parts.forEach((part, i) => {
    const model = readModel(part.bytes);
    irVersion = Math.max(irVersion, model.irVersion);
    for (const [domain, version] of model.opsets) {
      require(!opsets.has(domain) || opsets.get(domain) === version, `${part.name} wants version ${version} of operator set '${domain}'`);
      opsets.set(domain, version);
    }
    const isLast = i + 1 === parts.length;
    const outputNames = new Set(model.outputs.map(nameOf));
    const rename = (value: string): string => {
      if (value === '') return '';
      return part.inputs[value] ?? (isLast && outputNames.has(value) ? value : `${part.name}.${value}`);
    };
    for (const input of model.inputs) {
      const source = part.inputs[nameOf(input)];
      require(source !== undefined, `nothing feeds input ${nameOf(input)} of ${part.name}`);
      if (!values.has(source) && !inputs.has(source))
        inputs.set(
          source,
          renameField(input, 1, () => source),
        );
    }
    for (const output of model.outputs) values.add(rename(nameOf(output)));
    for (const node of model.nodes) graph.bytes(1, renameNode(node, rename, part.name));
    for (const tensor of model.initializers) graph.bytes(5, renameField(tensor, TENSOR_NAME, rename));
    if (isLast) for (const output of model.outputs) graph.bytes(12, output);
  });
  for (const source of inputs.keys()) require(!source.includes('.'), `no earlier part gives ${source}`);
  graph.string(2, name);
  for (const input of inputs.values()) graph.bytes(11, input);
  const whole = new ProtoWriter().int(1, irVersion).string(2, 'gatehouse').message(7, graph);
  for (const [domain, version] of opsets) whole.message(8, new ProtoWriter().string(1, domain).int(2, version));
  return whole.finish();
}

/** Field numbers of onnx.proto. */
const TENSOR_NAME = 8;
const ATTRIBUTE_TYPE = 20;
const ATTRIBUTE_WITH_GRAPH = [5, 10];

interface Field {
  readonly number: number;
  /** Of a varint. */
  readonly int: number;
  /** Of a length-delimited field. */
  readonly bytes: Uint8Array;
  /** The field as it is written, tag and all. */
  readonly raw: Uint8Array;
}

function readModel(bytes: Uint8Array) {
  const model = readFields(bytes);
  const graph = model.find(({ number }) => number === 7);
  if (!graph) throw new GatehouseError('bundle_corrupt', 'the model has no graph');
  const fields = readFields(graph.bytes);
  const all = (number: number) => fields.filter((field) => field.number === number).map((field) => field.bytes);
  const initializers = all(5);
  const initialised = new Set(initializers.map((tensor) => textOf(tensor, TENSOR_NAME)));
  return {
    irVersion: model.find(({ number }) => number === 1)?.int ?? 0,
    opsets: model
      .filter(({ number }) => number === 8)
      .map((field): [string, number] => [textOf(field.bytes, 1), readFields(field.bytes).find(({ number }) => number === 2)?.int ?? 0]),
    nodes: all(1),
    initializers,
    // Files of old IR versions list their constants as inputs too.
    inputs: all(11).filter((input) => !initialised.has(nameOf(input))),
    outputs: all(12),
  };
}

function renameNode(node: Uint8Array, rename: (value: string) => string, part: string): Uint8Array {
  const out = new ProtoWriter();
  for (const field of readFields(node)) {
    if (field.number === 1 || field.number === 2) out.string(field.number, rename(new TextDecoder().decode(field.bytes)));
    else if (field.number === 3) continue;
    else {
      if (field.number === 5) {
        const type = readFields(field.bytes).find(({ number }) => number === ATTRIBUTE_TYPE)?.int ?? 0;
        require(!ATTRIBUTE_WITH_GRAPH.includes(type), `a node of ${part} holds a graph of its own`);
      }
      out.bytes(field.number, field.bytes);
    }
  }
  return out.finish();
}

/** Replaces one text field and leaves the others as they were. */
function renameField(message: Uint8Array, number: number, rename: (value: string) => string): Uint8Array {
  const parts = readFields(message).map((field) =>
    field.number === number ? new ProtoWriter().string(number, rename(new TextDecoder().decode(field.bytes))).finish() : field.raw,
  );
  return Uint8Array.from(Buffer.concat(parts));
}

function nameOf(valueInfo: Uint8Array): string {
  return textOf(valueInfo, 1);
}

function textOf(message: Uint8Array, number: number): string {
  const field = readFields(message).find((one) => one.number === number);
  return field ? new TextDecoder().decode(field.bytes) : '';
}

/** The fields of a message, one level deep. Throws `bundle_corrupt` where a length leads out of it. */
function readFields(message: Uint8Array): Field[] {
  const fields: Field[] = [];
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = message[at++];
      if (byte === undefined || factor > 2 ** 63) throw new GatehouseError('bundle_corrupt', 'the model ends within a number');
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
  };
  while (at < message.length) {
    const start = at;
    const tag = varint();
    const wire = tag % 8;
    const int = wire === 0 ? varint() : 0;
    const length = wire === 2 ? varint() : wire === 5 ? 4 : wire === 1 ? 8 : 0;
    if ((wire > 2 && wire !== 5) || at + length > message.length) throw new GatehouseError('bundle_corrupt', 'the model is damaged');
    const bytes = message.subarray(at, at + length);
    at += length;
    fields.push({ number: Math.floor(tag / 8), int, bytes, raw: message.subarray(start, at) });
  }
  return fields;
}

function require(condition: boolean, detail: string): asserts condition {
  if (!condition) throw new GatehouseError('bundle_incompatible', detail);
}
