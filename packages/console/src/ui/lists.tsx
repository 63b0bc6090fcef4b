import { type FormEvent, useRef } from 'react'

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
export function SearchBox({ label, onSearch }: { label: string; onSearch(q: string): void }) {
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined)
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    clearTimeout(timer.current)
    onSearch(String(new FormData(event.currentTarget).get('q') ?? '').trim())
  }
  return (
    <search>
      <form onSubmit={submit}>
        <input
          type="search"
          name="q"
          aria-label={label}
          placeholder={label}
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

export function More({
  list,
}: {
  list: { hasNextPage: boolean; isFetchingNextPage: boolean; fetchNextPage(): Promise<unknown> }
}) {
  if (!list.hasNextPage) return null
  return (
    <button type="button" className="wide" disabled={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>
      Show more
    </button>
  )
}
