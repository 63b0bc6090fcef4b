import { useMutation } from '@tanstack/react-query'
import { useId, useState } from 'react'
import { api } from '../api.ts'
import { Link } from '../router.tsx'
import type { FindRuleAnswer, MatchedRule, Me } from '../types.ts'
import { Card, Failed } from '../ui/parts.tsx'
import { Visible } from '../ui/visible.tsx'
import { useDrafts } from './drafts.ts'
import { entityPath } from './entity-page.tsx'
import { textKinds } from './field-texts.ts'
import { isPolicies } from './policy-files.ts'
import { AgentField, LineField, useAgentChoice } from './question-fields.tsx'

/** Finds the rule that would hold for an ask that no agent has made. */
export function RuleFinder({ me }: { me: Me }) {
  const choice = useAgentChoice()
  const { chosen } = choice
  const drafts = useDrafts(me.me.id).filter((draft) => !isPolicies(draft))
  const [actions, setActions] = useState('tools/call')
  const [resources, setResources] = useState('')
  const [cost, setCost] = useState('')
  const id = useId()
  const find = useMutation({
    mutationFn: () => {
      const scopes = textKinds.asked.read(resources)
      const amounts = textKinds.amounts.read(cost)
      if (!scopes.ok) throw new Error(scopes.problem)
      if (!amounts.ok) throw new Error(amounts.problem)
      const limit = cost.trim() === '' ? {} : { cost: amounts.value }
      const permissions = (scopes.value as object[]).map((resource) => ({
        actions: actions.split(/[\s,]+/).filter((each) => each !== ''),
        resource,
      }))
      const authority = {
        ...{ type: 'bailiwick_task', task: 'example', permissions },
        ...{ budget: { calls: 1, ...limit }, max_depth: 0, max_children: 0 },
      }
      const entities = drafts.map(({ type, id, base, value }) => ({ type, id, base, value }))
      return api<FindRuleAnswer>('/rules/match', { agent: chosen, authority, entities })
    },
  })
  return (
    <Card title="Which rule would hold?">
      <form
        className="explain-ask"
        onSubmit={(event) => {
          event.preventDefault()
          find.mutate()
        }}
      >
        <AgentField label="If the agent" choice={choice} />
        <LineField label="asks to" value={actions} required onChange={setActions} />
        <div className="field">
          <label htmlFor={id}>on</label>
          <textarea
            id={id}
            rows={2}
            required
            value={resources}
            placeholder="tool invoices/adjust"
            onChange={({ currentTarget }) => setResources(currentTarget.value)}
          />
          <small>One a line: a type and an id.</small>
        </div>
        <LineField label="for at most" value={cost} placeholder="500.00 EUR" onChange={setCost} />
        <button type="submit" className="primary" disabled={find.isPending || chosen === ''}>
          Find the rule
        </button>
      </form>
      {find.error ? <Failed error={find.error} /> : null}
      {find.data ? (
        <div role="status">
          <Matched title="Now" matched={find.data.now} />
          {find.data.after === null ? null : (
            <Matched title="With the change that you prepare" matched={find.data.after} />
          )}
        </div>
      ) : null}
    </Card>
  )
}

function Matched({
  title,
  matched: { rule, group, quorum, members, why, tried },
}: {
  title: string
  matched: MatchedRule
}) {
  return (
    <div className={rule === null ? 'note bad' : 'note good'}>
      <h3>{title}</h3>
      {rule === null ? (
        <p>
          No rule holds, so no person could approve it: <Visible text={why ?? ''} />.
        </p>
      ) : (
        <p>
          The rule{' '}
          <Link to={entityPath('rule', rule)}>
            <Visible text={rule} />
          </Link>
          : {quorum === 1 ? 'one person' : `${quorum} different people`} of{' '}
          <strong>
            <Visible text={group ?? ''} />
          </strong>
          , now {members.length === 0 ? 'no one' : <Visible text={members.map(({ name }) => name).join(', ')} />}.
        </p>
      )}
      {tried.length === 0 ? null : (
        <p className="table-note">
          Tried before, in this order: <Visible text={tried.join(', ')} />
        </p>
      )}
    </div>
  )
}
