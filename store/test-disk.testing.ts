import type { Disk, DiskKey, DiskOp, DiskRow, Table } from './disk.ts';

/** A disk in memory, whose commits wait for `release` or fail as told. */
export class TestDisk implements Disk {
  readonly tables = new Map<Table, Map<DiskKey, Uint8Array>>();
  commits = 0;
  failWith: Error | undefined;
  /** Commits after which the process is as good as dead. */
  commitsLeft = Number.POSITIVE_INFINITY;
  /** While set, commits wait. */
  gate: Promise<void> | undefined;

  get(table: Table, key: DiskKey): Uint8Array | undefined {
    const value = this.tables.get(table)?.get(key);
    return value && Uint8Array.from(value);
  }

  range(table: Table, start: DiskKey, limit: number): DiskRow[] {
    const rows = [...(this.tables.get(table) ?? [])].filter(([key]) => key >= start).sort(([a], [b]) => (a < b ? -1 : 1));
    return rows.slice(0, limit).map(([key, value]) => ({ key, value }));
  }

  async commit(ops: readonly DiskOp[]): Promise<void> {
    this.commits++;
    await this.gate;
    if (this.failWith) throw this.failWith;
    if (this.commitsLeft-- <= 0) throw new Error('the process is gone');
    for (const { table, key, value } of ops) {
      const rows = this.tables.get(table) ?? new Map<DiskKey, Uint8Array>();
      this.tables.set(table, rows);
      if (value) rows.set(key, Uint8Array.from(value));
      else rows.delete(key);
    }
  }

  async swapStates(ops: readonly DiskOp[]): Promise<void> {
    await this.commit(ops);
    const [states, rebuilt] = (['states', 'rebuilt'] as const).map((name) => this.tables.get(name) ?? new Map());
    this.tables.set('states', rebuilt!).set('rebuilt', states!);
  }

  async clear(table: Table): Promise<void> {
    await this.commit(Array.from(this.tables.get(table)?.keys() ?? [], (key) => ({ table, key, value: undefined })));
  }

  bytes(): number {
    return 0;
  }

  async close(): Promise<void> {}
}
