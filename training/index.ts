/** The offline trainer: the journal becomes a bundle. */
export { type FactSource, factsOf, journalSource } from './facts.ts';
export { resumableOffset, type TrainOptions, type TrainParams, type TrainResult, train } from './train.ts';
