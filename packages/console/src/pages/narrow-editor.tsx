import { type FormEvent, useState } from 'react'
import { serverNow } from '../api.ts'
import type { Authority, Budget, Narrowed } from '../types.ts'
import { Card } from '../ui/parts.tsx'
import { duration } from '../ui/time.tsx'
import { Visible } from '../ui/visible.tsx'

/** Makes less of what was asked: the form's bounds help, and the server holds them. */
export function NarrowEditor({
  authority,
  notAfter,
  onReview,
  onCancel,
}: {
  authority: Authority
  notAfter: string
  onReview(narrowed: Narrowed): void
  onCancel(): void
}) {
  const [problem, setProblem] = useState<string>()
  const { budget, permissions } = authority
  const minutes = Math.floor((Date.parse(notAfter) - serverNow()) / 60_000)
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const narrowed = narrowedBy(authority, new FormData(event.currentTarget))
    setProblem(typeof narrowed === 'string' ? narrowed : undefined)
    if (typeof narrowed !== 'string') onReview(narrowed)
  }
  return (
    <Card title="Make it narrower" className="narrow">
      <form onSubmit={submit} aria-label="Make it narrower">
        <fieldset>
          <legend>What it may do</legend>
          {permissions.map((permission, n) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: permissions are known by their place
            <div key={n} className="keep">
              <label className="check">
                <input type="checkbox" name={`keep ${n}`} defaultChecked />
                <Visible text={nameOf(permission)} />
              </label>
              <NumberField
                name={`uses ${n}`}
                label="Uses, at most"
                value={permission.max_uses}
                min={1}
                max={permission.max_uses}
              />
            </div>
          ))}
        </fieldset>
        <fieldset>
          <legend>How much, and how long</legend>
          <div className="fields">
            <NumberField name="calls" label="Calls, at most" value={budget.calls} max={budget.calls} />
            {Object.entries(budget.cost ?? {}).map(([currency, most]) => (
              <NumberField
                key={currency}
                name={`cost ${currency}`}
                label={`${currency}, at most`}
                value={most}
                max={most}
                decimal
              />
            ))}
            <NumberField
              name="egress"
              label="Bytes sent out, at most"
              value={budget.egress_bytes}
              max={budget.egress_bytes}
            />
            <label className="field">
              <span>End in … minutes</span>
              <input
                type="number"
                name="minutes"
                min={1}
                max={Math.max(1, minutes)}
                inputMode="numeric"
                placeholder={`as asked: ${duration(Math.max(0, minutes * 60))}`}
              />
            </label>
          </div>
        </fieldset>
        {problem === undefined ? null : (
          <p className="note bad" role="alert">
            {problem}
          </p>
        )}
        <div className="actions">
          <button type="submit" className="primary">
            Review and sign…
          </button>
          <button type="button" onClick={onCancel}>
            Back to the request
          </button>
        </div>
      </form>
    </Card>
  )
}

function NumberField({
  name,
  label,
  value,
  min = 0,
  max,
  decimal = false,
}: {
  name: string
  label: string
  value: number | string | undefined
  min?: number
  max: number | string | undefined
  decimal?: boolean
}) {
  return (
    <label className="field">
      <span>{label}</span>
      <input
        type="number"
        name={name}
        min={min}
        step={decimal ? 'any' : 1}
        inputMode={decimal ? 'decimal' : 'numeric'}
        defaultValue={value}
        placeholder={value === undefined ? 'no limit' : undefined}
        required={value !== undefined}
        {...(max === undefined ? {} : { max })}
      />
    </label>
  )
}

const nameOf = ({ actions, resource }: Authority['permissions'][number]) =>
  `${actions.join(', ')} on ${resource.id ?? `anything below ${resource.id_prefix}`}`

/** What the form asks of the server; a text says what is wrong with it. */
function narrowedBy(authority: Authority, data: FormData): Narrowed | string {
  const text = (name: string) => String(data.get(name) ?? '').trim()
  const permissions = authority.permissions.flatMap((permission, n) => {
    if (!data.has(`keep ${n}`)) return []
    const uses = text(`uses ${n}`)
    return [uses === '' ? permission : { ...permission, max_uses: Number(uses) }]
  })
  if (permissions.length === 0) return 'Nothing is left. Deny it instead.'
  const budget: Budget = { ...authority.budget }
  if (text('calls') !== '') budget.calls = Number(text('calls'))
  if (text('egress') !== '') budget.egress_bytes = Number(text('egress'))
  if (budget.cost !== undefined)
    budget.cost = Object.fromEntries(Object.keys(budget.cost).map((currency) => [currency, text(`cost ${currency}`)]))
  const narrowed = { ...authority, permissions, budget }
  const minutes = text('minutes')
  const changed = JSON.stringify(narrowed) !== JSON.stringify(authority)
  if (!changed && minutes === '') return 'Nothing is narrower yet. Change something, or approve as asked.'
  return {
    ...(changed ? { authority: narrowed } : {}),
    ...(minutes === '' ? {} : { not_after: new Date(serverNow() + Number(minutes) * 60_000).toISOString() }),
  }
}
