import { type ReactNode, useEffect, useRef, useState } from 'react'
import { type RowWindow, rowWindow, scrolledTo } from './row-window.ts'

/** Pixels: what the list has at least, and what is left below it. */
const [leastRoom, below] = [300, 24]

/** A list of rows of one height that fills the screen below it, scrolls in itself, and draws only the rows that can be seen. */
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
  const box = useRef<HTMLDivElement>(null)
  const [{ top, height, room }, setView] = useState({ top: 0, height: 600, room: 600 })
  useEffect(() => {
    const element = box.current
    if (element === null) return
    const look = () => {
      const above = element.getBoundingClientRect().top + scrollY
      const room = Math.max(leastRoom, Math.floor(innerHeight - above - below))
      setView({ top: element.scrollTop, height: element.clientHeight, room })
    }
    const observer = new ResizeObserver(look)
    observer.observe(element)
    observer.observe(document.body) // what is above the list may grow
    addEventListener('resize', look)
    element.addEventListener('scroll', look, { passive: true })
    return () => {
      observer.disconnect()
      element.removeEventListener('scroll', look)
      removeEventListener('resize', look)
    }
  }, [])
  useEffect(() => {
    const element = box.current
    if (element === null || selected < 0) return
    const { scrollTop, clientHeight } = element
    element.scrollTop = scrolledTo({ top: scrollTop, height: clientHeight, rowHeight, row: selected })
  }, [selected, rowHeight])
  const { first, end } = rowWindow({ top, height, rowHeight, count: items.length })
  useEffect(() => onRows({ first, end }), [first, end, onRows])
  return (
    <div className={isTight ? 'virtual tight' : 'virtual'} ref={box} style={{ maxHeight: room }}>
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
