// The training kernel: what touches every row or every bin. AssemblyScript over plain addresses in a memory that all threads share; it
// allocates nothing and holds no state. Each export does one task of a job; tasks of a job write to different places, so any thread may
// take any of them. Addresses and sizes come from memory.ts, the jobs from jobs.ts.
export { binColumns } from './bin';
export { binaryGradients, quantise, residualMax, squaredGradients, sumRoot } from './gradient';
export { searchLeaves } from './histogram';
export { addLeafValues, addTreeValues, partition, place } from './partition';
