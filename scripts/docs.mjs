// Writes the reference pages that are generated from tables in the code. `npm run docs` after a build; the tidy test compares.
import { writeFileSync } from 'node:fs';
import { errorsMarkdown } from '../dist/contracts/errors.js';
import { settingsMarkdown } from '../dist/gateway/config.js';
import { metricsMarkdown } from '../dist/gateway/metrics.js';

writeFileSync(
  'docs/settings.md',
  `# Settings\n\nEvery setting is an environment variable, read once at start. An unknown \`GATEHOUSE_\` name or a value out of range stops the start with one sentence.\n\n${settingsMarkdown()}`,
);
writeFileSync('docs/metrics.md', `# Metrics\n\n\`GET /metrics\` on the control port, in the Prometheus text format.\n\n${metricsMarkdown()}`);
writeFileSync(
  'docs/errors.md',
  `# Errors\n\nA failed request is answered as \`application/problem+json\` (RFC 9457) with one of these codes; a command prints the sentence and exits with 1.\n\n${errorsMarkdown()}`,
);
