import { useEffect, useState } from 'react'

/** Pixels: what a box has at least, and what is left below it. */
const [least, below] = [300, 24]

/** The height of a box that fills the screen below its own place: as an element's `ref`, and in pixels. */
export function useRoom<E extends HTMLElement>(): [E | null, (element: E | null) => void, number] {
  const [element, setElement] = useState<E | null>(null)
  const [room, setRoom] = useState(600)
  useEffect(() => {
    if (element === null) return
    const look = () => {
      const above = element.getBoundingClientRect().top + scrollY
      setRoom(Math.max(least, Math.floor(innerHeight - above - below)))
    }
    const observer = new ResizeObserver(look)
    observer.observe(document.body) // what is above the box may grow
    addEventListener('resize', look)
    look()
    return () => {
      observer.disconnect()
      removeEventListener('resize', look)
    }
  }, [element])
  return [element, setElement, room]
}
