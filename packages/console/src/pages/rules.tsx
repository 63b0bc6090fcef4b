import { useQuery } from '@tanstack/react-query'
import { api } from '../api.ts'
import type { ListRulesAnswer, Rule } from '../types.ts'
import { Empty, Facts, Failed, Loading, modeWords } from '../ui/parts.tsx'
import { duration } from '../ui/time.tsx'
import { useTitle } from '../ui/title.ts'
import { Visible } from '../ui/visible.tsx'
import { freshWords } from './limits.tsx'
import { WhoMayApprove } from './who-may-approve.tsx'

/** Who may approve which requests, in the order in which the rules are tried. */
export function RulesPage() {
  useTitle('Rules')
  const list = useQuery({
    queryKey: ['rules'],
    queryFn: () => api<ListRulesAnswer>('/rules'),
  })
  return (
    <>
      <div className="page-head">
        <h1>Rules</h1>
        <p className="hint">The first rule that matches applies. A request that no rule matches cannot be approved.</p>
      </div>
      {list.isPending ? <Loading /> : null}
      {list.error ? <Failed error={list.error} /> : null}
      {list.data?.items.length === 0 ? (
        <Empty title="There is no rule.">
          <p>Nothing can be approved until there is one.</p>
        </Empty>
      ) : null}
      <ol className="cards">
        {inOrder(list.data?.items ?? []).map((rule) => (
          <li key={rule.id}>
            <RuleCard rule={rule} />
          </li>
        ))}
      </ol>
      <WhoMayApprove rules={inOrder(list.data?.items ?? [])} />
      {list.data?.policy_set ? (
        <section className="card below">
          <h2>Active policy set</h2>
          <p className="hint">Besides these rules, Cedar policies decide on every single action.</p>
          <Facts
            rows={[
              ['Files', <Visible key="f" text={Object.keys(list.data.policy_set.files).join(', ')} />],
              ['Hash', <code key="h">{list.data.policy_set.hash}</code>],
            ]}
          />
        </section>
      ) : null}
    </>
  )
}

/** In the order in which they are tried. The registry's rule applies only to the registry, so it comes last. */
const inOrder = (rules: Rule[]) => rules.toSorted((a, b) => Number(isOfRegistry(a)) - Number(isOfRegistry(b)))

const isOfRegistry = ({ id }: Pick<Rule, 'id'>) => id === 'registry'

function RuleCard({ rule }: { rule: Rule }) {
  const { approvers, members } = rule
  const registry = isOfRegistry(rule)
  return (
    <article className="card">
      <div className="card-head">
        <h2>
          <Visible text={rule.id} />
        </h2>
        <span className="badge">{registry ? 'Registry changes' : `Order ${rule.order}`}</span>
      </div>
      <RuleSentence rule={rule} />
      <Facts
        rows={[
          [
            'In the group now',
            members.length === 0 ? 'no members' : <Visible key="m" text={members.map(({ name }) => name).join(', ')} />,
          ],
          !registry && [
            'The owner',
            rule.owner_may_approve ? 'may approve their own agent' : 'may not approve their own agent',
          ],
          !registry && ['Modes', rule.modes.map((mode) => modeWords[mode]).join(', ')],
          !registry && ['Longest', duration(rule.max_window_seconds)],
          !registry && rule.closed_permissions === true && ['Arguments', 'only those that the request names'],
          !registry && rule.listed_delegates === true && ['Sub-agents', 'only those that the request lists'],
          !registry && [
            'One exact action',
            rule.arguments === 'digest_only'
              ? 'its digest may be signed without seeing its arguments'
              : 'approvers see all its arguments',
          ],
          !registry && ['Narrowing', rule.narrowing ? 'allowed' : 'not allowed'],
        ]}
      />
      {rule.continuous === undefined ? null : (
        <p className="hint">
          {modeWords.continuous}: {freshWords(rule.continuous)}
        </p>
      )}
      {members.length < approvers.quorum ? (
        <p className="note warn">
          It takes {approvers.quorum} and there {members.length === 1 ? 'is' : 'are'} {members.length}: no request that
          it matches can be approved.
        </p>
      ) : null}
    </article>
  )
}

/** A rule in words, without its limits. */
export function RuleSentence({ rule }: { rule: Pick<Rule, 'id' | 'match' | 'approvers'> }) {
  const { approvers, match } = rule
  return (
    <p className="sentence">
      {isOfRegistry(rule) ? 'Changes of the registry' : <Matches match={match} />}{' '}
      {approvers.quorum === 1 ? 'take one approver' : `take ${approvers.quorum} different approvers`} of{' '}
      <strong>
        <Visible text={approvers.group} />
      </strong>
      .
    </p>
  )
}

const names: Record<string, string> = {
  agents: 'by the agent',
  actions: 'to do',
  resources: 'on',
  labels: 'with a tool labelled',
  agent_labels: 'by an agent labelled',
  cost_above: 'that may cost more than',
}

function Matches({ match }: { match: Record<string, unknown> }) {
  const given = Object.entries(match).filter(([, value]) => value !== undefined)
  if (given.length === 0) return 'All requests'
  return (
    <>
      Requests{' '}
      {given.map(([member, value], n) => (
        <span key={member}>
          {n > 0 ? ', ' : ''}
          {names[member] ?? member} <Visible text={member === 'cost_above' ? amounts(value) : wordsOf(value)} />
        </span>
      ))}
    </>
  )
}

const amounts = (value: unknown) =>
  Object.entries(value as Record<string, string>)
    .map(([currency, amount]) => `${amount} ${currency}`)
    .join(' or ')

function wordsOf(value: unknown): string {
  if (Array.isArray(value)) return value.map(wordsOf).join(' or ')
  if (typeof value !== 'object' || value === null) return String(value)
  const { type, id, id_prefix: prefix } = value as Record<string, string | undefined>
  return `${id === undefined && prefix === undefined ? 'any ' : ''}${type} ${id ?? (prefix === undefined ? '' : `below ${prefix}`)}`
}
