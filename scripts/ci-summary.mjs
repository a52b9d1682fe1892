// Prints the closing line of a CI run from vitest's JSON results, and exits as the run did.
import { readFileSync } from 'node:fs';

const [path, status] = process.argv.slice(2);
let results;
try {
  results = JSON.parse(readFileSync(path, 'utf8'));
} catch (cause) {
  console.error(`The test results cannot be read: ${cause.message}`);
  process.exit(Number(status) || 1);
}
const { numPassedTests: passed, numFailedTests: failed, numPendingTests: skipped, success } = results;
console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
process.exit(Number(status) || (success && passed > 0 ? 0 : 1));
