import { relu } from '../../onnx/autodiff/activation.ts';
import { dropout } from '../../onnx/autodiff/arithmetic.ts';
import { linear } from '../../onnx/autodiff/matrix.ts';
import type { Value } from '../../onnx/autodiff/tape.ts';
import type { WeightOf } from './step.ts';
import { denseSpecs, glorot, he, type WeightSpec } from './weights.ts';

/** Weights of dense layers from `inputs` over `hidden` to `outputs`, named `<name>0`, `<name>1`, … */
export function towerSpecs(name: string, inputs: number, hidden: readonly number[], outputs: number): WeightSpec[] {
  const sizes = [inputs, ...hidden, outputs];
  return sizes.slice(1).flatMap((size, layer) => {
    const before = sizes[layer]!;
    return denseSpecs(`${name}${layer}`, before, size, layer < hidden.length ? he(before) : glorot(before, size));
  });
}

/** The layers of `towerSpecs`, ReLU after each hidden one, then dropout by its mask when there is one. */
export function tower(name: string, x: Value, hiddenLayers: number, weight: WeightOf, masks: readonly Value[] = []): Value {
  let value = x;
  for (let layer = 0; layer < hiddenLayers; layer++) {
    value = relu(dense(`${name}${layer}`, value, weight));
    const mask = masks[layer];
    if (mask) value = dropout(value, mask);
  }
  return dense(`${name}${hiddenLayers}`, value, weight);
}

export function dense(name: string, x: Value, weight: WeightOf): Value {
  return linear(x, weight(`${name}.weight`), weight(`${name}.bias`));
}
