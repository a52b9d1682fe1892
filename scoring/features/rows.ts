import type { Level } from './schema.ts';

/** The tiles of one level in which something happened, oldest first: `count` rows of `level.stride` doubles, the tile number first. */
export interface Rows {
  data: Float64Array;
  count: number;
}

/** Scratch rows, empty and with room for all that the level keeps. */
export function openRows(rows: Rows, level: Level): void {
  const room = level.rowsMax * level.stride;
  if (rows.data.length < room) rows.data = new Float64Array(room);
  rows.count = 0;
}

/** Offset in `rows.data` of the row of `tile`, made where it is missing; -1 when the tile is too old to be kept. */
export function seekRow(rows: Rows, level: Level, tile: number): number {
  const { stride } = level;
  const newestAt = (rows.count - 1) * stride;
  if (rows.count === 0 || rows.data[newestAt]! < tile) {
    dropBefore(rows, stride, tile - level.spanTiles);
    return insertRow(rows, level, tile, rows.count);
  }
  if (rows.data[newestAt] === tile) return newestAt;
  if (tile < rows.data[newestAt]! - level.spanTiles) return -1;
  let place = rows.count - 1;
  while (place > 0 && rows.data[(place - 1) * stride]! >= tile) place--;
  if (rows.data[place * stride] === tile) return place * stride;
  return place === 0 && rows.count === level.rowsMax ? -1 : insertRow(rows, level, tile, place);
}

function dropBefore(rows: Rows, stride: number, oldestTile: number): void {
  let drop = 0;
  while (drop < rows.count && rows.data[drop * stride]! < oldestTile) drop++;
  if (drop > 0) {
    rows.data.copyWithin(0, drop * stride, rows.count * stride);
    rows.count -= drop;
  }
}

/** A full table lets its oldest row go. */
function insertRow(rows: Rows, level: Level, tile: number, place: number): number {
  const { stride } = level;
  if (rows.count === level.rowsMax) {
    rows.data.copyWithin(0, stride, place * stride);
    return writeBlank(rows, level, tile, (place - 1) * stride);
  }
  rows.data.copyWithin((place + 1) * stride, place * stride, rows.count * stride);
  rows.count++;
  return writeBlank(rows, level, tile, place * stride);
}

export function writeBlank(rows: Rows, level: Level, tile: number, at: number): number {
  for (let i = 1; i < level.stride; i++) rows.data[at + i] = level.blank[i]!;
  rows.data[at] = tile;
  return at;
}
