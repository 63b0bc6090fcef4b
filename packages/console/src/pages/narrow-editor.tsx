import { type FormEvent, useState } from 'react'
import { serverNow } from '../api.ts'
import type { Authority, Continuous, Narrowed } from '../types.ts'
import { Card } from '../ui/parts.tsx'
import { duration } from '../ui/time.tsx'
import { Visible } from '../ui/visible.tsx'
import { field, narrowedBy } from './narrowed-by.ts'

/** Narrows a request. The form's limits help the person; the server enforces them. */
export function NarrowEditor({
  authority,
  continuous,
  notAfter,
  onReview,
  onCancel,
}: {
  authority: Authority
  /** For a request in mode continuous. */
  continuous: Continuous | null
  notAfter: string
  onReview(narrowed: Narrowed): void
  onCancel(): void
}) {
  const [problem, setProblem] = useState<string>()
  const { budget, permissions, max_depth: depth, max_children: children } = authority
  const minutes = Math.floor((Date.parse(notAfter) - serverNow()) / 60_000)
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const narrowed = narrowedBy({ authority, continuous }, new FormData(event.currentTarget), serverNow())
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
                <input type="checkbox" name={field.keep(n)} defaultChecked />
                <Visible text={nameOf(permission)} />
              </label>
              <NumberField
                name={field.uses(n)}
                label="Uses, at most"
                value={permission.max_uses}
                min={1}
                max={permission.max_uses}
              />
              {Object.entries(permission.where ?? {}).map(([pointer, { max }]) =>
                max === undefined ? null : (
                  <NumberField
                    key={pointer}
                    name={field.argument(n, pointer)}
                    label={`${pointer}, at most`}
                    value={max}
                    max={max}
                    decimal
                  />
                ),
              )}
            </div>
          ))}
        </fieldset>
        <fieldset>
          <legend>How much, and how long</legend>
          <div className="fields">
            <NumberField name="calls" label="Calls, at most" min={0} value={budget.calls} max={budget.calls} />
            {Object.entries(budget.cost ?? {}).map(([currency, most]) => (
              <NumberField
                key={currency}
                name={field.cost(currency)}
                label={`${currency}, at most`}
                value={most}
                min={0}
                max={most}
                decimal
              />
            ))}
            <NumberField
              name="egress"
              label="Bytes sent out, at most"
              value={budget.egress_bytes}
              min={0}
              max={budget.egress_bytes}
            />
            {depth > 0 && children > 0 ? (
              <>
                <NumberField name="depth" label="Sub-agents, levels deep" min={0} value={depth} max={depth} />
                <NumberField
                  name="children"
                  label="Sub-agents of each, at most"
                  min={0}
                  value={children}
                  max={children}
                />
              </>
            ) : null}
            {continuous === null ? null : (
              <>
                <NumberField
                  name="reattest"
                  label="Seconds between proofs"
                  value={continuous.reattest_seconds}
                  min={1}
                  max={continuous.reattest_seconds}
                />
                <NumberField
                  name="outcome"
                  label="Seconds until an outcome"
                  value={continuous.outcome_seconds}
                  min={1}
                  max={continuous.outcome_seconds}
                />
              </>
            )}
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
  min,
  max,
  decimal = false,
}: {
  name: string
  label: string
  value: number | string | undefined
  min?: number | undefined
  max: number | string | undefined
  decimal?: boolean
}) {
  return (
    <label className="field">
      <span>
        <Visible text={label} />
      </span>
      <input
        type="number"
        name={name}
        {...(min === undefined ? {} : { min })}
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
