import type { Grant } from '@bailiwick/contracts'
import { ServiceError } from '@bailiwick/errors'
import { type GrantStateName, grantTransitions, type Tree } from '../grant-life.ts'
import type { Columns, Row } from './row.ts'

/** Copies at once the parts of the tree that can change. There may be thousands of credentials, so each has a row of its own. */
export function grantRows(tree: Tree): Iterable<Row> {
  const row = grantRow(tree)
  const [credentials, delegations] = [[...tree.credentials.values()], [...tree.delegations.values()]]
  return (function* rows(): Generator<Row> {
    yield row
    for (const credential of credentials) yield ['credential', tree.id, credential]
    for (const delegation of delegations) yield ['delegation', tree.id, delegation]
  })()
}

const grantRow = (tree: Tree): Row => [
  'grant',
  tree.id,
  tree.version,
  tree.state,
  tree.cause ?? null,
  tree.grant,
  tree.createdAt,
  tree.heldBefore.map(({ agent, jkt }) => [agent, jkt]),
  tree.moves,
  tree.movedAt,
]

/** The tree without its credentials and delegations, whose rows follow. */
export const readGrant = (columns: Columns): Tree => ({
  id: columns.text(),
  version: columns.whole(),
  state: readState(columns),
  cause: columns.maybe((column) => column.text()),
  grant: columns.object<Grant>(),
  createdAt: columns.whole(),
  credentials: new Map(),
  delegations: new Map(),
  heldBefore: columns.each((holder) => ({ agent: holder.text(), jkt: holder.text() })),
  moves: columns.whole(),
  movedAt: columns.whole(),
})

function readState(columns: Columns): GrantStateName {
  const state = columns.text()
  if (!Object.hasOwn(grantTransitions, state))
    throw new ServiceError('invariant_broken', 'a cut has a grant of no state')
  return state as GrantStateName
}
