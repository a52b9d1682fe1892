// The gateway as a process, like `gatehouse serve`: settings from the environment, one line on stderr and exit code 1 when it can't start.
import { GatehouseError } from '../../dist/contracts/errors.js';
import { readConfig } from '../../dist/gateway/config.js';
import { startGateway } from '../../dist/gateway/main.js';

try {
  const gateway = await startGateway(readConfig(process.env));
  console.log(`gatehouse: data plane on port ${gateway.dataPort}, control plane on port ${gateway.controlPort}`);
  await new Promise((resolve) => process.once('SIGTERM', resolve));
  await gateway.drain();
} catch (error) {
  if (error instanceof GatehouseError) console.error(`gatehouse: ${error.detail} (${error.code}). ${error.toProblem().fix}`);
  else console.error(error);
  process.exitCode = 1;
}
