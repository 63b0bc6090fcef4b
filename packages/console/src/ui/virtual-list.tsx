import { type ReactNode, useEffect, useRef, useState } from 'react'
import { leaveList, leftList } from './left-lists.ts'
import { useRoom } from './room.ts'
import { type RowWindow, rowWindow, scrolledTo } from './row-window.ts'

/**
 * A list of rows of one height that fills the screen below it, scrolls in itself, and draws only the rows that can be seen. When a person
 * comes back to it, it is scrolled to where it was left.
 */
export function VirtualList<T extends { id: string }>({
  items,
  rowHeight,
  isTight,
  label,
  selected,
  children,
  onRows,
}: {
  items: readonly T[]
  rowHeight: number
  /** The rows have little width, and more than one line. */
  isTight: boolean
  label: string
  /** The row that is kept in sight. -1: none. */
  selected: number
  children(item: T, n: number): ReactNode
  /** Called with the rows that are drawn. */
  onRows(rows: RowWindow): void
}) {
  const [box, setBox, room] = useRoom<HTMLDivElement>()
  const [{ top, height }, setView] = useState({ top: 0, height: 600 })
  const place = `${location.pathname} ${label}`
  /** Pixels: how far it was scrolled when it was left. Undefined once it is there again. */
  const wanted = useRef(leftList(place).top)
  const arrivedWith = useRef(wanted.current === undefined ? undefined : selected)
  useEffect(() => {
    if (box === null) return
    const look = () => {
      setView({ top: box.scrollTop, height: box.clientHeight })
      if (wanted.current === undefined) leaveList(place, { top: box.scrollTop })
    }
    const observer = new ResizeObserver(look)
    observer.observe(box)
    box.addEventListener('scroll', look, { passive: true })
    return () => {
      observer.disconnect()
      box.removeEventListener('scroll', look)
    }
  }, [box, place])
  // Its rows may come page after page: it is scrolled as far as there are rows.
  // biome-ignore lint/correctness/useExhaustiveDependencies: the number of rows and the room say how far it can be scrolled
  useEffect(() => {
    if (box === null || wanted.current === undefined) return
    box.scrollTop = wanted.current
    if (box.scrollTop >= wanted.current - 1) wanted.current = undefined
  }, [box, items.length, room])
  useEffect(() => {
    if (box === null || selected < 0 || selected === arrivedWith.current) return
    arrivedWith.current = undefined
    wanted.current = undefined
    const { scrollTop, clientHeight } = box
    box.scrollTop = scrolledTo({ top: scrollTop, height: clientHeight, rowHeight, row: selected })
  }, [box, selected, rowHeight])
  const { first, end } = rowWindow({ top, height, rowHeight, count: items.length })
  useEffect(() => onRows({ first, end }), [first, end, onRows])
  return (
    <div className={isTight ? 'virtual tight' : 'virtual'} ref={setBox} style={{ maxHeight: room }}>
      <ul aria-label={label} style={{ height: items.length * rowHeight }}>
        {items.slice(first, end).map((item, n) => (
          <li
            key={item.id}
            aria-posinset={first + n + 1}
            aria-setsize={items.length}
            style={{ top: (first + n) * rowHeight, height: rowHeight }}
          >
            {children(item, first + n)}
          </li>
        ))}
      </ul>
    </div>
  )
}
