import { Argument, Command } from 'commander';
import { generateKey, hashKey, type PrincipalKind } from '../gateway/auth/keys.ts';

/** `gatehouse key`: a new random key, and the hash that a setting may hold in its place. */
export function keyCommand(): Command {
  return new Command('key')
    .description('Make a key for GATEHOUSE_SECRET_KEYS, GATEHOUSE_PUBLISHABLE_KEYS or GATEHOUSE_ADMIN_TOKEN')
    .addArgument(new Argument('<kind>').choices(['publishable', 'secret', 'admin']))
    .action((kind: PrincipalKind) => {
      const key = generateKey(kind);
      console.log(`key:     ${key}\nsetting: sha256:${hashKey(key).toString('hex')}`);
    });
}
