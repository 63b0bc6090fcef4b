import { useQuery } from '@tanstack/react-query'
import { api } from '../api.ts'
import { freshWords } from '../pages/limits.tsx'
import { isOfRegistry, RuleSentence } from '../pages/rule-sentence.tsx'
import { WhoMayApprove } from '../pages/who-may-approve.tsx'
import { Link, useParameters } from '../router.tsx'
import type { ListRulesAnswer, Me, Rule } from '../types.ts'
import { Tabs } from '../ui/lists.tsx'
import { Empty, Facts, Failed, Loading, modeWords } from '../ui/parts.tsx'
import { duration } from '../ui/time.tsx'
import { useTitle } from '../ui/title.ts'
import { Visible } from '../ui/visible.tsx'
import { DraftBar } from './draft-bar.tsx'
import { useDrafts } from './drafts.ts'
import { entityPath } from './entity-page.tsx'
import { PoliciesView } from './policies-view.tsx'
import { RuleFinder } from './rule-finder.tsx'
import './workbench.css'

/** Who may approve which requests, in the order in which the rules are tried. */
export function RulesPage({ me }: { me: Me }) {
  const [{ show: wanted = 'rules' }, change] = useParameters('show')
  const show = (wanted in views ? wanted : 'rules') as keyof typeof views
  useTitle(views[show])
  return (
    <>
      <div className="page-head">
        <h1>Rules</h1>
        <p className="hint">{hints[show]}</p>
      </div>
      <DraftBar drafts={useDrafts(me.me.id)} />
      <div className="toolbar">
        <Tabs label="Rules or policies" options={views} value={show} onChange={(show) => change({ show })} />
      </div>
      {show === 'rules' ? <Rules /> : null}
      {show === 'policies' ? <PoliciesView me={me} /> : null}
      {show === 'finder' ? <RuleFinder me={me} /> : null}
    </>
  )
}

const views = { rules: 'Rules', policies: 'Policies', finder: 'Which rule holds' } as const

const hints: Record<keyof typeof views, string> = {
  rules: 'The first rule that matches applies. A request that no rule matches cannot be approved.',
  policies: 'Cedar decides on every single action, beside what people approved.',
  finder: 'Before an agent asks: who would have to sign?',
}

function Rules() {
  const list = useQuery({
    queryKey: ['rules'],
    queryFn: () => api<ListRulesAnswer>('/rules'),
  })
  return (
    <>
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
    </>
  )
}

/** In the order in which they are tried. The registry's rule applies only to the registry, so it comes last. */
const inOrder = (rules: Rule[]) => rules.toSorted((a, b) => Number(isOfRegistry(a)) - Number(isOfRegistry(b)))

function RuleCard({ rule }: { rule: Rule }) {
  const { approvers, members } = rule
  const registry = isOfRegistry(rule)
  return (
    <article className="card">
      <div className="card-head">
        <h2>
          <Link to={entityPath('rule', rule.id)}>
            <Visible text={rule.id} />
          </Link>
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
      {rule.emergency === undefined ? null : (
        <p className="note bad">
          <strong>For emergencies alone.</strong> Two people can go round every other rule with it, up to its ceiling of{' '}
          {rule.emergency.permissions.length} {rule.emergency.permissions.length === 1 ? 'permission' : 'permissions'}.
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
