import { useMutation } from '@tanstack/react-query'
import { useState } from 'react'
import { api } from '../api.ts'
import type { DraftQuestionAnswer, PolicyExplanation } from '../types.ts'
import { Failed } from '../ui/parts.tsx'
import { Visible } from '../ui/visible.tsx'
import type { Files } from './policy-files.ts'
import { AgentField, LineField, useAgentChoice } from './question-fields.tsx'

/** Asks the policies about one call, and says why they answer so. */
export function ExplainView({ files, onTest }: { files: Files; onTest(test: string): void }) {
  const choice = useAgentChoice()
  const { chosen } = choice
  const [action, setAction] = useState('tools/call')
  const [resource, setResource] = useState('tool ')
  const [request, setRequest] = useState('')
  const draft = useMutation({
    mutationFn: () => {
      const [type = '', ...rest] = resource.trim().split(/\s+/)
      const about = { agent: chosen, action: action.trim(), resource: { type, id: rest.join(' ') } }
      return api<DraftQuestionAnswer>('/policies/question', { files, ...about })
    },
    onSuccess: ({ request }) => {
      setRequest(request)
      explain.mutate(request)
    },
  })
  const explain = useMutation({
    mutationFn: (asked: string) => api<PolicyExplanation>('/policies/explain', { files, request: asked }),
  })
  const asTest = (answer: PolicyExplanation) => {
    const decision = answer.outcome === 'allow' ? 'allow' : 'deny'
    const oneLine = JSON.stringify(JSON.parse(request))
    return `- name: ${JSON.stringify(`${chosen.split('/').at(-1)} ${action} ${resource.trim()}`)}\n  request: ${oneLine}\n  expect: { decision: ${decision} }\n`
  }
  return (
    <div className="explain">
      <form
        className="explain-ask"
        onSubmit={(event) => {
          event.preventDefault()
          draft.mutate()
        }}
      >
        <AgentField label="Agent" choice={choice} />
        <LineField label="Wants to" value={action} required onChange={setAction} />
        <LineField
          label="On"
          value={resource}
          placeholder="tool invoices/adjust"
          required
          pattern="\S+\s+\S.*"
          title="A type and an id, as tool invoices/adjust"
          onChange={setResource}
        />
        <button type="submit" className="primary" disabled={draft.isPending || explain.isPending || chosen === ''}>
          Ask
        </button>
      </form>
      {draft.error ? <Failed error={draft.error} /> : null}
      {explain.error ? <Failed error={explain.error} /> : null}
      {explain.data ? <Explained answer={explain.data} /> : null}
      {request === '' ? (
        <p className="hint">
          The question is filled in as a decision point would ask it, for an agent that did nothing yet. Then change
          what you want to know.
        </p>
      ) : (
        <>
          <details>
            <summary>The question, which you can change</summary>
            <label className="field">
              <span className="hidden">The question as JSON</span>
              <textarea
                className="code"
                rows={14}
                spellCheck={false}
                value={request}
                onChange={({ currentTarget }) => setRequest(currentTarget.value)}
              />
            </label>
          </details>
          <div className="actions">
            <button type="button" disabled={explain.isPending} onClick={() => explain.mutate(request)}>
              Ask again
            </button>
            {explain.data ? (
              <button type="button" onClick={() => onTest(asTest(explain.data))}>
                Keep it as a test
              </button>
            ) : null}
          </div>
        </>
      )}
    </div>
  )
}

const outcomes: Record<PolicyExplanation['outcome'], string> = {
  allow: 'Allowed. It is permitted by',
  deny: 'Denied. It is forbidden by',
  step_up: 'Denied until a person approves this very action. That is wanted by',
  error: 'Denied: a policy could not be evaluated, so no other policy counts',
  invalid: 'Denied: the question does not fit the schema',
}

function Explained({
  answer: { outcome, policies, obligations, messages, would_change },
}: {
  answer: PolicyExplanation
}) {
  const noPolicyPermits = outcome === 'deny' && policies.length === 0
  return (
    <div className={outcome === 'allow' ? 'note good' : 'note bad'} role="status">
      <p>
        <strong>{noPolicyPermits ? 'Denied. No policy permits it.' : outcomes[outcome]}</strong>
        {policies.map(({ id, file }, n) => (
          <span key={id}>
            {n > 0 ? ', ' : ' '}
            <code>
              <Visible text={id} />
            </code>{' '}
            <span className="table-note">
              <Visible text={file} />
            </span>
          </span>
        ))}
      </p>
      {obligations.length === 0 ? null : <p>With obligations: {obligations.join(', ').replaceAll('_', ' ')}</p>}
      {messages.map((message) => (
        <p key={message}>
          <Visible text={message} />
        </p>
      ))}
      {would_change.length === 0 ? null : (
        <>
          <p>Any one of these, if it were different, could change the answer:</p>
          <ul className="member-lines">
            {would_change.map(({ attribute, value, policies }) => (
              <li key={attribute}>
                <code>
                  <Visible text={attribute} />
                </code>
                , now <Visible text={JSON.stringify(value)} />: <Visible text={policies.join(', ')} />
              </li>
            ))}
          </ul>
        </>
      )}
    </div>
  )
}
