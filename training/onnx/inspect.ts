/**
 * What an ONNX file says about itself, read without a runtime: inputs, outputs, and whether its weights lie in another file. It is read before native
 * code sees the file, and it can tell a sequence of maps from other things that are no tensor, which onnxruntime's metadata can't.
 */
export interface OnnxHeader {
  readonly inputs: readonly OnnxValueInfo[];
  readonly outputs: readonly OnnxValueInfo[];
  /** Name of the other file; undefined where all is in this one. */
  readonly externalData: string | undefined;
}

/** `type` is onnxruntime's word for a tensor's elements, else such as `sequence of map`. A size is a number, or a name ('' for none) where it is open. */
export interface OnnxValueInfo {
  readonly name: string;
  readonly type: string;
  readonly dims: readonly (number | string)[];
}

/** onnx.proto's TensorProto.DataType. */
const ELEMENTS: Readonly<Record<number, string>> = {
  1: 'float32',
  2: 'uint8',
  3: 'int8',
  4: 'uint16',
  5: 'int16',
  6: 'int32',
  7: 'int64',
  8: 'string',
  9: 'bool',
  10: 'float16',
  11: 'float64',
  12: 'uint32',
  13: 'uint64',
  16: 'bfloat16',
};
/** Sequences of sequences come to an end here: no exporter nests deeper. */
const NESTING_MAX = 4;

/** Reads the header of a model. Undefined where the bytes are no ONNX model. */
export function inspectOnnx(bytes: Uint8Array): OnnxHeader | undefined {
  try {
    const model = fieldsOf(bytes);
    const [graph] = messages(model, 7);
    if (!graph || messages(model, 8).length === 0) return undefined;
    const fields = fieldsOf(graph);
    const initializers = messages(fields, 5).map(fieldsOf);
    // Old exporters list the weights among the inputs, too.
    const weights = new Set([...initializers.map((tensor) => text(tensor, 8)), ...messages(fields, 15).map(sparseName)]);
    return {
      inputs: messages(fields, 11)
        .map(valueInfo)
        .filter(({ name }) => !weights.has(name)),
      outputs: messages(fields, 12).map(valueInfo),
      externalData: initializers.filter((tensor) => integer(tensor, 14) === 1).map(locationOf)[0],
    };
  } catch (cause) {
    if (cause instanceof NoProtobufError) return undefined;
    throw cause;
  }
}

/** Bytes that end too early, or a wire type that protobuf does not have. */
class NoProtobufError extends Error {}

interface Field {
  readonly number: number;
  readonly value: number | Uint8Array;
}

/** The fields of a message, with the contents of what is nested left for later: weights are stepped over. */
function fieldsOf(bytes: Uint8Array): Field[] {
  const fields: Field[] = [];
  let at = 0;
  const varint = (): number => {
    // Products instead of shifts: sizes may pass 32 bits. What passes 53 is a negative int64, which nothing here is.
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[at++];
      if (byte === undefined || scale > 2 ** 63) throw new NoProtobufError();
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  };
  const take = (length: number): Uint8Array => {
    if (at + length > bytes.length) throw new NoProtobufError();
    at += length;
    return bytes.subarray(at - length, at);
  };
  while (at < bytes.length) {
    const tag = varint();
    const [number, wire] = [Math.floor(tag / 8), tag % 8];
    if (number === 0) throw new NoProtobufError();
    if (wire === 0) fields.push({ number, value: varint() });
    else if (wire === 1) fields.push({ number, value: take(8) });
    else if (wire === 2) fields.push({ number, value: take(varint()) });
    else if (wire === 5) fields.push({ number, value: take(4) });
    else throw new NoProtobufError();
  }
  return fields;
}

function messages(fields: readonly Field[], number: number): Uint8Array[] {
  return fields.filter((field) => field.number === number).map(({ value }) => (typeof value === 'number' ? notBytes() : value));
}

function notBytes(): never {
  throw new NoProtobufError();
}

function integer(fields: readonly Field[], number: number): number | undefined {
  const value = fields.findLast((field) => field.number === number)?.value;
  return typeof value === 'number' ? value : undefined;
}

function text(fields: readonly Field[], number: number): string {
  const bytes = messages(fields, number).at(-1);
  return bytes ? new TextDecoder().decode(bytes) : '';
}

function valueInfo(bytes: Uint8Array): OnnxValueInfo {
  const fields = fieldsOf(bytes);
  const [type] = messages(fields, 2);
  return { name: text(fields, 1), ...(type ? typeOf(type) : { type: 'undeclared', dims: [] }) };
}

function typeOf(bytes: Uint8Array, depth = 0): Pick<OnnxValueInfo, 'type' | 'dims'> {
  const fields = fieldsOf(bytes);
  const [tensor] = messages(fields, 1);
  if (tensor) {
    const parts = fieldsOf(tensor);
    const element = integer(parts, 1) ?? 0;
    const [shape] = messages(parts, 2);
    return { type: ELEMENTS[element] ?? `element type ${element}`, dims: shape ? messages(fieldsOf(shape), 1).map(dimOf) : [] };
  }
  const [sequence] = messages(fields, 4);
  if (sequence) {
    const [element] = messages(fieldsOf(sequence), 1);
    return { type: `sequence of ${element && depth < NESTING_MAX ? typeOf(element, depth + 1).type : 'something'}`, dims: [] };
  }
  return { type: messages(fields, 5).length > 0 ? 'map' : 'non-tensor', dims: [] };
}

function dimOf(bytes: Uint8Array): number | string {
  const fields = fieldsOf(bytes);
  return integer(fields, 1) ?? text(fields, 2);
}

function sparseName(bytes: Uint8Array): string {
  const [values] = messages(fieldsOf(bytes), 1);
  return values ? text(fieldsOf(values), 8) : '';
}

/** Where an external tensor's entries say that it lies. */
function locationOf(tensor: readonly Field[]): string {
  const entries = messages(tensor, 13).map(fieldsOf);
  const location = entries.find((entry) => text(entry, 1) === 'location');
  return location ? text(location, 2) : 'another file';
}
