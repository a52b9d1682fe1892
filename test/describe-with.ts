import { describe, test } from 'vitest';
import { leftOutName, type Need } from './services.ts';

const REQUIRED = process.env['TEST_REQUIRE_SERVICES'] === '1';

/**
 * A suite that runs where `need` is there and is left out, audibly, where it isn't. With TEST_REQUIRE_SERVICES=1 the absence of a service fails the
 * run, so that no pipeline is green because it tested nothing.
 */
export function describeWith(need: Need, name: string, body: () => void): void {
  if (need.path !== undefined) describe(name, body);
  else if (need.required && REQUIRED) {
    test(name, () => {
      throw new Error(`${need.name} is not installed (${need.how}), and TEST_REQUIRE_SERVICES=1`);
    });
  } else describe.skip(leftOutName(name, need), body);
}
