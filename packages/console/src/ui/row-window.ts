export interface RowWindow {
  first: number
  /** The row after the last. */
  end: number
}

/** Rows above and below the screen that are drawn too, so that scrolling shows no gap. */
const spare = 8

/** The rows of a list that are drawn, of all that there are. */
export function rowWindow({
  top,
  height,
  rowHeight,
  count,
}: {
  top: number
  height: number
  rowHeight: number
  count: number
}): RowWindow {
  const first = Math.max(0, Math.floor(top / rowHeight) - spare)
  return { first: Math.min(first, count), end: Math.min(count, Math.ceil((top + height) / rowHeight) + spare) }
}

/** Where the list must be scrolled to, so that this row is seen whole, moving as little as possible. */
export function scrolledTo({
  top,
  height,
  rowHeight,
  row,
}: {
  top: number
  height: number
  rowHeight: number
  row: number
}): number {
  if (row * rowHeight < top) return row * rowHeight
  return Math.max(top, (row + 1) * rowHeight - height)
}
