import { Command } from 'commander';
import { readItems, writeItems } from './items-file.ts';
import { configOf, type OpenShop, openShop } from './shared.ts';

interface Options {
  readonly dataDir?: string;
}

/** `gatehouse export-items`: the catalogue as a file. */
export function exportItemsCommand(): Command {
  return itemsCommand('export-items', 'Write the catalogue as a file with an item a line (JSON), by item id', (shop, path) =>
    writeItems(shop.store, path),
  );
}

/** `gatehouse import-items`: such a file becomes the catalogue's again. */
export function importItemsCommand(): Command {
  return itemsCommand('import-items', 'Put the items of such a file into the catalogue, each replacing what was there', (shop, path) =>
    readItems(shop, path, Date.now()),
  );
}

function itemsCommand(name: string, description: string, work: (shop: OpenShop, path: string) => Promise<number>): Command {
  return new Command(name)
    .description(description)
    .argument('<file>', 'an .ndjson file')
    .option('--data-dir <dir>', 'folder of the store and the bundles')
    .action(async (path: string, { dataDir }: Options) => {
      const shop = await openShop(configOf(dataDir));
      try {
        console.log(JSON.stringify({ path, items: await work(shop, path) }, null, 2));
      } finally {
        await shop.close();
      }
    });
}
