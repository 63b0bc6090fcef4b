import type { DecodedEvent, EventData, Grant } from '@bailiwick/contracts'
import { jcsHash } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import { CutMap } from './cut/cut-map.ts'
import { grantRows, readGrant } from './cut/grant-rows.ts'
import { inTurn, type Row, type RowReaders } from './cut/row.ts'
import { type CredentialRecord, grantTransitions, type Tree } from './grant-life.ts'
import { isNext, type Verdict } from './verdict.ts'

/** No grant lives longer (DESIGN §5). A request for it after that is refused because of its time. */
const longestLifeMs = 8 * 3600 * 1000

/**
 * A thief of the issuer's key can end a grant or move it, but cannot change anything else that people signed (V3). After a move
 * another instance and key hold the grant. Every decision point checks for itself whether they may.
 */
function isStillTheSame(known: Grant, { type, data }: WholeGrant): boolean {
  const { agent, instance_key } = type === 'grant.rebound' ? data.grant : known
  return jcsHash({ ...known, agent, instance_key }) === jcsHash(data.grant)
}
type WholeGrant = Extract<DecodedEvent<'grants.v1'>, { data: { grant: Grant } }>

function move(tree: Tree, grant: Grant, at: number): void {
  const { agent, instance_key: jkt } = tree.grant
  tree.heldBefore.push({ agent, jkt })
  tree.moves++
  tree.movedAt = at
  tree.grant = grant
}

/** The limit per tree, so that an issuer cannot make readers keep credentials without end (V18). A forgotten credential is invalid. */
const mostCredentials = 10_000

/** Uses the log's own time, so that all readers forget the same credentials. */
function makeRoom({ grant, credentials }: Tree, now: number): void {
  for (const [id, { expires_at }] of credentials) {
    const isOver = grant.mode !== 'continuous' && Date.parse(expires_at) < now
    if (credentials.size < mostCredentials && !isOver) return
    credentials.delete(id)
  }
}

/** Grants, delegations and credentials, by tree. */
export class GrantState {
  readonly #base: boolean
  readonly trees = new Map<string, Tree>()
  /** The issuer's reasons for refusing to create grants, by the id that each grant would have had. */
  readonly refused = new Map<string, string>()
  /** When each was refused (ms since the epoch), by the same id. */
  readonly #refusedAt = new Map<string, number>()
  readonly #byRequest = new Map<string, string>()
  readonly #byDelegation = new Map<string, string>()
  readonly #cut = new CutMap<Tree>((_, tree) => grantRows(tree))

  constructor(options: { base: boolean }) {
    this.#base = options.base
  }

  apply(event: DecodedEvent<'grants.v1'>, takenAt?: number): Verdict {
    const id = event.partitionkey
    if (event.type === 'credential.refused') {
      if (!this.trees.has(id)) this.#refuse(id, event.data.reason, Date.parse(event.time))
      return 'counts'
    }
    const tree = this.trees.get(id)
    if (!isNext(event.version, tree?.version, this.#base)) return 'void'
    if (!tree) return this.#plant(id, event, takenAt)
    this.#cut.before(id)
    const state = grantTransitions[tree.state][event.type]
    if (state === 'refused' || !this.#changes(tree, event, takenAt)) return 'void'
    tree.state = state
    tree.version = event.version as number
    return 'counts'
  }

  #refuse(id: string, reason: string, at: number): void {
    this.refused.set(id, reason)
    this.#refusedAt.set(id, at)
  }

  /** A tree begins with its grant. For a base inside its life, any event that carries the whole grant can begin it. */
  #plant(id: string, event: DecodedEvent<'grants.v1'>, takenAt = 0): Verdict {
    if (!('grant' in event.data) || event.data.grant.id !== id) return 'void'
    const from = event.version === 1 ? 'absent' : event.type === 'grant.resumed' ? 'suspended' : 'active'
    const state = grantTransitions[from][event.type as 'grant.created']
    if (state === 'refused') return 'void'
    const { grant } = event.data
    const version = event.version as number
    // A thief of the issuer's key chooses the event's time, and so whose approval counted. So use no time before the bus took the event.
    const createdAt = Math.max(Date.parse(event.time), takenAt)
    const { cause } = event.data
    const empty = { credentials: new Map(), delegations: new Map(), heldBefore: [], moves: 0, movedAt: 0 }
    this.trees.set(id, { id, version, state, cause, grant, createdAt, ...empty })
    this.#byRequest.set(grant.request_id, id)
    return 'counts'
  }

  #changes(tree: Tree, event: DecodedEvent<'grants.v1'>, takenAt = 0): boolean {
    switch (event.type) {
      case 'credential.intended':
        if (tree.credentials.has(event.data.credential_id)) return false
        makeRoom(tree, Date.parse(event.data.issued_at))
        tree.credentials.set(event.data.credential_id, { ...event.data, issued: false, moves: tree.moves })
        return true
      case 'credential.issued': {
        const credential = tree.credentials.get(event.data.credential_id)
        if (!credential || credential.issued) return false
        tree.credentials.set(event.data.credential_id, { ...credential, issued: true })
        return true
      }
      case 'delegation.redeemed':
        if (tree.delegations.has(event.data.delegation_id)) return false
        tree.delegations.set(event.data.delegation_id, event.data)
        if (!this.#byDelegation.has(event.data.delegation_id)) this.#byDelegation.set(event.data.delegation_id, tree.id)
        return true
      case 'credential.refused':
        return false
      default:
        if (!isStillTheSame(tree.grant, event)) return false
        if (event.type === 'grant.rebound') move(tree, event.data.grant, Math.max(Date.parse(event.time), takenAt))
        tree.cause = event.data.cause
        return true
    }
  }

  /** Its state as it is now, as rows that `rowReaders` take. One cut at a time. */
  cut(): IterableIterator<Row> {
    const trees = this.#cut.begin(this.trees)
    const others: Row[] = [
      ...[...this.#refusedAt].map(([id, at]): Row => ['grant-refused', id, this.refused.get(id) ?? '', at]),
      ...[...this.#byRequest].map(([request, id]): Row => ['grant-of-request', request, id]),
      ...[...this.#byDelegation].map(([delegation, id]): Row => ['grant-of-delegation', delegation, id]),
    ]
    return inTurn(trees, others)
  }

  get rowReaders(): RowReaders {
    const treeOf = (id: string): Tree => {
      const tree = this.trees.get(id)
      if (tree === undefined) throw new ServiceError('invariant_broken', "a cut's credential stands ahead of its grant")
      return tree
    }
    return {
      'grant-refused': (columns) => this.#refuse(columns.text(), columns.text(), columns.whole()),
      grant: (columns) => {
        const tree = readGrant(columns)
        this.trees.set(tree.id, tree)
      },
      credential: (columns) => {
        const { credentials } = treeOf(columns.text())
        const credential = columns.object<CredentialRecord>()
        credentials.set(credential.credential_id, credential)
      },
      delegation: (columns) => {
        const { delegations } = treeOf(columns.text())
        const delegation = columns.object<EventData<'grants.v1', 'delegation.redeemed'>>()
        delegations.set(delegation.delegation_id, delegation)
      },
      'grant-of-request': (columns) => this.#byRequest.set(columns.text(), columns.text()),
      'grant-of-delegation': (columns) => this.#byDelegation.set(columns.text(), columns.text()),
    }
  }

  byRequest(requestId: string): Tree | undefined {
    return this.trees.get(this.#byRequest.get(requestId) ?? '')
  }

  /** The tree in which the delegation was redeemed. */
  ofDelegation(id: string): Tree | undefined {
    return this.trees.get(this.#byDelegation.get(id) ?? '')
  }

  /** Forgets trees that ended before `ms`, and refusals of grants that would have ended by then. */
  forgetEndedBefore(ms: number): void {
    for (const [id, at] of this.#refusedAt) {
      if (at >= ms - longestLifeMs) continue
      this.refused.delete(id)
      this.#refusedAt.delete(id)
    }
    for (const [id, { grant, delegations }] of this.trees) {
      if (Date.parse(grant.not_after) >= ms) continue
      this.trees.delete(id)
      for (const each of delegations.keys()) if (this.#byDelegation.get(each) === id) this.#byDelegation.delete(each)
      if (this.#byRequest.get(grant.request_id) === id) this.#byRequest.delete(grant.request_id)
    }
  }
}
