import { readFile, writeFile } from 'node:fs/promises';
import type { Driven } from './processes.ts';

/** One line of the table: medians over the rounds. */
export interface Measured {
  readonly name: string;
  readonly connections: number;
  /** What is counted: requests, or events. */
  readonly unit: string;
  readonly perS: number;
  /** `perS` for each core that the target used. */
  readonly perCoreS: number;
  readonly targetCores: number;
  readonly generatorCores: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
  readonly errors: number;
  readonly rssBytes: number;
  /** Lowest and highest round. */
  readonly rangePerS: readonly [number, number];
}

export function measured(name: string, connections: number, unit: string, { rounds, targetCores, rssBytes }: Driven): Measured {
  const perS = rounds.map((round) => round.unitsPerS);
  const middle = median(perS);
  return {
    name,
    connections,
    unit,
    perS: middle,
    perCoreS: middle / targetCores,
    targetCores,
    generatorCores: median(rounds.map((round) => round.generatorCores)),
    p50Ms: median(rounds.map((round) => round.p50Ms)),
    p95Ms: median(rounds.map((round) => round.p95Ms)),
    p99Ms: median(rounds.map((round) => round.p99Ms)),
    errors: rounds.reduce((sum, round) => sum + round.errors, 0),
    rssBytes,
    rangePerS: [Math.min(...perS), Math.max(...perS)],
  };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** A goal of the design, and what came out. */
export interface Verdict {
  readonly goal: string;
  readonly got: string;
  readonly met: boolean;
}

/** The Markdown table; ratios are against the echo with as many connections. */
export function table(rows: readonly Measured[], floorName: string): string {
  const head = [
    '| what | connections | per second | of echo | lowest to highest round | p50 ms | p95 ms | p99 ms | p99 of echo’s | a second and core | cores: it, generator | errors |',
    '|---|---|---|---|---|---|---|---|---|---|---|---|',
  ];
  const lines = rows.map((row) => {
    const floor = rows.find((other) => other.name === floorName && other.connections === row.connections);
    const isRequest = row.unit === 'requests';
    const share = floor && isRequest ? (row.perS / floor.perS).toFixed(2) : '—';
    const late = floor && isRequest ? `${(row.p99Ms / floor.p99Ms).toFixed(1)}x` : '—';
    return `| ${row.name} | ${row.connections} | ${whole(row.perS)} ${row.unit} | ${share} | ${whole(row.rangePerS[0])} to ${whole(row.rangePerS[1])} | ${ms(row.p50Ms)} | ${ms(row.p95Ms)} | ${ms(row.p99Ms)} | ${late} | ${whole(row.perCoreS)} | ${row.targetCores.toFixed(2)}, ${row.generatorCores.toFixed(2)} | ${row.errors} |`;
  });
  return [...head, ...lines].join('\n');
}

export function verdictTable(verdicts: readonly Verdict[]): string {
  return ['| goal | measured | met |', '|---|---|---|', ...verdicts.map(({ goal, got, met }) => `| ${goal} | ${got} | ${met ? 'yes' : 'no'} |`)].join(
    '\n',
  );
}

export function whole(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

export function ms(value: number): string {
  if (Number.isNaN(value)) return '—';
  return value < 10 ? value.toFixed(2) : value.toFixed(1);
}

/** The page that measured figures stand on. */
export const DOCS_PAGE = 'docs/performance.md';

/** Puts a report between the markers of this name, on the page named; `true` is the project's own, and without one nothing is written. */
export async function writeDocs(page: string | true | undefined, name: string, report: string): Promise<void> {
  if (page === undefined) return;
  const path = page === true ? DOCS_PAGE : page;
  await writeFile(path, putBetweenMarkers(await readFile(path, 'utf8'), name, `\n${report}\n`));
}

/** Replaces what stands between the markers of this name. Throws when the page lacks them. */
function putBetweenMarkers(page: string, name: string, content: string): string {
  const [begin, end] = [`<!-- ${name}: begin -->`, `<!-- ${name}: end -->`];
  const from = page.indexOf(begin);
  const to = page.indexOf(end);
  if (from < 0 || to < from) throw new Error(`the page lacks the markers of ${name}`);
  return `${page.slice(0, from + begin.length)}\n${content}\n${page.slice(to)}`;
}
