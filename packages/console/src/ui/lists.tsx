import { type FormEvent, type ReactNode, useEffect, useRef } from 'react'
import { useSight } from './pages.ts'

export function Tabs<T extends string>({
  label,
  options,
  value,
  onChange,
}: {
  label: string
  options: Readonly<Record<T, string>>
  value: NoInfer<T>
  onChange: (value: NoInfer<T>) => void
}) {
  return (
    <fieldset className="tabs">
      <legend className="hidden">{label}</legend>
      {(Object.entries(options) as [T, string][]).map(([name, title]) => (
        <button key={name} type="button" aria-pressed={name === value} onClick={() => onChange(name)}>
          {title}
        </button>
      ))}
    </fieldset>
  )
}

/** Searches a moment after the last key, or at once with Enter. */
export function SearchBox({ label, value, onSearch }: { label: string; value: string; onSearch(q: string): void }) {
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined)
  const input = useRef<HTMLInputElement>(null)
  useEffect(() => {
    // Back brought another search; what the person types now is never overwritten.
    if (input.current !== null && document.activeElement !== input.current) input.current.value = value
  }, [value])
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    clearTimeout(timer.current)
    onSearch(String(new FormData(event.currentTarget).get('q') ?? '').trim())
  }
  return (
    <search>
      <form onSubmit={submit}>
        <input
          ref={input}
          type="search"
          name="q"
          aria-label={label}
          placeholder={label}
          defaultValue={value}
          maxLength={200}
          onChange={({ currentTarget: { value } }) => {
            clearTimeout(timer.current)
            timer.current = setTimeout(() => onSearch(value.trim()), 250)
          }}
        />
      </form>
    </search>
  )
}

/** One page of a list, which is kept up to date while it is near the screen. */
export function Sighted({
  page,
  onSeen,
  children,
}: {
  page: number
  onSeen(page: number, isSeen: boolean): void
  children: ReactNode
}) {
  return <div ref={useSight(page, onSeen)}>{children}</div>
}

export function More({
  list,
}: {
  list: { hasNextPage: boolean; isFetchingNextPage: boolean; fetchNextPage(): unknown }
}) {
  if (!list.hasNextPage) return null
  return (
    <button type="button" className="wide" disabled={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>
      Show more
    </button>
  )
}
