import { type FormEvent, useEffect, useRef, useState } from 'react'
import { serverNow } from '../api.ts'
import type { AccessDetail, Authority, Continuous, Narrowed } from '../types.ts'
import { Tabs } from '../ui/lists.tsx'
import { Card } from '../ui/parts.tsx'
import { duration } from '../ui/time.tsx'
import { Visible } from '../ui/visible.tsx'
import type { Draft, Fields } from './narrow-draft.ts'
import { presetsOf } from './narrow-presets.ts'
import { field, narrowedBy } from './narrowed-by.ts'

/** Narrows a request. The form's limits help the person; the server enforces them. */
export function NarrowEditor({
  authority: asked,
  last,
  continuous,
  notAfter,
  draft,
  onReview,
  onCancel,
}: {
  authority: Authority
  last: AccessDetail['last_approved']
  /** For a request in mode continuous. */
  continuous: Continuous | null
  notAfter: string
  /** What was typed before. */
  draft: Draft
  onReview(narrowed: Narrowed): void
  onCancel(): void
}) {
  const [problem, setProblem] = useState<string>()
  const form = useRef<HTMLFormElement>(null)
  const minutes = Math.floor((Date.parse(notAfter) - serverNow()) / 60_000)
  const [presets] = useState(() => presetsOf({ authority: asked, last }, minutes))
  const [chosen, setChosen] = useState(draft.fields()?.get(field.preset) ?? 'asked')
  const { authority, minutes: shorter } = presets.get(chosen) ?? { authority: asked, minutes: undefined }
  const before = draft.fields()?.get(field.preset) === chosen ? draft.fields() : undefined
  const { budget, permissions, max_depth: depth, max_children: children } = authority
  // biome-ignore lint/correctness/useExhaustiveDependencies: a form with other numbers is another form
  useEffect(() => {
    form.current?.querySelector<HTMLInputElement>('input:not([type="hidden"])')?.focus() // the button that opened it is gone
    if (form.current !== null && (draft.has() || chosen !== 'asked')) draft.keep(new FormData(form.current))
  }, [chosen])
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const narrowed = narrowedBy({ authority, asked, continuous }, new FormData(event.currentTarget), serverNow())
    setProblem(typeof narrowed === 'string' ? narrowed : undefined)
    if (typeof narrowed !== 'string') onReview(narrowed)
  }
  return (
    <Card title="Make it narrower" className="narrow">
      <Tabs
        label="Begin with"
        options={Object.fromEntries([...presets].map(([name, { title }]) => [name, title]))}
        value={chosen}
        onChange={setChosen}
      />
      <form
        key={chosen}
        ref={form}
        onSubmit={submit}
        onChange={({ currentTarget }) => draft.keep(new FormData(currentTarget))}
        aria-label="Make it narrower"
      >
        <input type="hidden" name={field.preset} value={chosen} />
        <fieldset>
          <legend>What it may do</legend>
          {permissions.map((permission, n) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: permissions are known by their place
            <div key={n} className="keep">
              <label className="check">
                <input type="checkbox" name={field.keep(n)} defaultChecked={before?.has(field.keep(n)) ?? true} />
                <Visible text={nameOf(permission)} />
              </label>
              <NumberField
                before={before}
                name={field.uses(n)}
                label="Uses, at most"
                value={permission.max_uses}
                min={1}
                max={permission.max_uses}
              />
              {Object.entries(permission.where ?? {}).map(([pointer, { max }]) =>
                max === undefined ? null : (
                  <NumberField
                    before={before}
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
            <NumberField
              before={before}
              name="calls"
              label="Calls, at most"
              min={0}
              value={budget.calls}
              max={budget.calls}
            />
            {Object.entries(budget.cost ?? {}).map(([currency, most]) => (
              <NumberField
                before={before}
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
              before={before}
              name="egress"
              label="Bytes sent out, at most"
              value={budget.egress_bytes}
              min={0}
              max={budget.egress_bytes}
            />
            {depth > 0 && children > 0 ? (
              <>
                <NumberField
                  before={before}
                  name="depth"
                  label="Sub-agents, levels deep"
                  min={0}
                  value={depth}
                  max={depth}
                />
                <NumberField
                  before={before}
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
                  before={before}
                  name="reattest"
                  label="Seconds between proofs"
                  value={continuous.reattest_seconds}
                  min={1}
                  max={continuous.reattest_seconds}
                />
                <NumberField
                  before={before}
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
                defaultValue={before?.get('minutes') ?? shorter}
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
  before,
  name,
  label,
  value,
  min,
  max,
  decimal = false,
}: {
  before: Fields | undefined
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
        defaultValue={before?.get(name) ?? value}
        placeholder={value === undefined ? 'no limit' : undefined}
        required={value !== undefined}
        {...(max === undefined ? {} : { max })}
      />
    </label>
  )
}

const nameOf = ({ actions, resource }: Authority['permissions'][number]) =>
  `${actions.join(', ')} on ${resource.id ?? `anything below ${resource.id_prefix}`}`
