import { useLayoutEffect, useRef, useState } from 'react'

/** Some people dictate, or cannot help touching keys (WCAG 2.2, 2.1.4): on this device they can switch single keys off. */
const stored = 'bailiwick-keys'

export function useKeysAllowed(): [boolean, (allowed: boolean) => void] {
  const [allowed, setAllowed] = useState(areAllowed)
  const change = (next: boolean) => {
    if (next) localStorage.removeItem(stored)
    else localStorage.setItem(stored, 'off')
    setAllowed(next)
  }
  return [allowed, change]
}

const areAllowed = () => localStorage.getItem(stored) !== 'off'

const isTyping = (target: EventTarget | null) =>
  target instanceof HTMLElement && target.matches('input:not([type="checkbox"]), textarea, select')

/**
 * Single keys that do something on this page, except while a person types or a dialog is open. They change together with what is shown, so
 * that no key acts on something that is no longer shown.
 */
export function useKeys(keys: Readonly<Record<string, (() => void) | undefined>>): void {
  const latest = useRef(keys)
  useLayoutEffect(() => {
    latest.current = keys
  })
  useLayoutEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return
      if (isTyping(event.target) || document.querySelector('dialog[open]') !== null || !areAllowed()) return
      // Enter does what has the focus.
      if (event.key === 'Enter' && event.target instanceof Element && event.target.closest('a, button, input, summary'))
        return
      const act = Object.hasOwn(latest.current, event.key) ? latest.current[event.key] : undefined
      if (act === undefined) return
      event.preventDefault()
      act()
    }
    document.addEventListener('keydown', press)
    return () => document.removeEventListener('keydown', press)
  }, [])
}
