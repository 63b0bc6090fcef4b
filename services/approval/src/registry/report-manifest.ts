import { type EnforcementPoint, guessedLabel, type ToolServer, toolServerSchema } from '@bailiwick/contracts'
import type { AnswerOf, pointRoutes } from '@bailiwick/contracts/api'
import { ServiceError } from '@bailiwick/errors'
import type { RequestRecord } from '@bailiwick/projection'
import type { Approval } from '../context.ts'
import { inTurn, type RegistryAsk } from '../requests.ts'
import { type ManifestText, readManifestText } from './manifest-texts.ts'
import { proposeChange } from './propose-change.ts'

/** What an enforcement point says of a server of tools. None of it is believed. */
export interface ManifestReport {
  server: string
  hash: string
  manifests?: readonly string[] | undefined
  guesses?: ToolServer['tools'] | undefined
}

type Answer = AnswerOf<typeof pointRoutes.reportManifest>

/** How long a change that a point reported waits for people. */
const waitsMs = 24 * 3600 * 1000
/** After a change for a server, the points open the next one no sooner: people must have time to read one. */
const gapMs = 300_000

/** Whether a point may ask about every tool of this server, and so may say what it is. */
export function coversServer({ resources }: EnforcementPoint, server: string): boolean {
  return resources.some(
    (scope) =>
      scope.type === 'tool' &&
      !('id' in scope) &&
      (!('id_prefix' in scope) || `${server}/`.startsWith(scope.id_prefix)),
  )
}

/**
 * An enforcement point saw a server say this of itself. If people did not sign it, they are asked: as one change for each server, of which the
 * newest counts. It makes nothing usable. Throws `caller_forbidden` for a server of other points, `entity_unknown` for one that is not registered,
 * and `request_malformed` for texts that are not of the manifests in question.
 */
export function reportManifest(approval: Approval, point: EnforcementPoint, report: ManifestReport): Promise<Answer> {
  if (!coversServer(point, report.server))
    throw new ServiceError('caller_forbidden', 'this point is not registered for all tools of the server')
  return approval.lanes.serially(`manifest ${report.server}`, () => answerTo(approval, point, report))
}

async function answerTo(approval: Approval, point: EnforcementPoint, report: ManifestReport): Promise<Answer> {
  const { projection, manifests, clock } = approval
  const { server, hash } = report
  const registered = projection.ledger.registry.get('tool-server', server)
  if (registered === undefined) throw new ServiceError('entity_unknown', `tool-server ${server}`)
  const changes = changesOf(approval, server)
  keepTexts(approval, registered, changes, report)
  const wanted = [...new Set([hash, registered.manifest])].filter((each) => manifests.of(server, each) === undefined)
  const answer = (state: Answer['state'], id: string | null = null): Answer => ({ state, request_id: id, wanted })
  if (hash === registered.manifest) return answer('approved')
  const same = changes.filter(({ isCurrent, value }) => isCurrent && value?.manifest === hash)
  // Between the last signature and the issuer's event, an approved change is still on its way.
  const waiting = same.find(({ isOpen, record }) => isOpen || record.state === 'approved')
  if (waiting !== undefined) return answer('waiting', waiting.record.id)
  const denied = same.find(({ record }) => record.state === 'denied')
  if (denied !== undefined) return answer('denied', denied.record.id)
  const text = manifests.of(server, hash)
  const last = Math.max(...changes.flatMap(({ isReported, record }) => (isReported ? [record.receivedAt ?? 0] : [])))
  if (text === undefined || clock.now() < last + gapMs) return answer('later')
  await replaceReported(approval, server)
  const value = observed(registered, text, report.guesses ?? {})
  const { request_id } = await proposeChange(approval, point.id, [{ type: 'tool-server', id: server, value }], {
    lifeMs: waitsMs,
  })
  return answer('waiting', request_id)
}

interface Change {
  record: RequestRecord
  value: ToolServer | undefined
  /** The registry still has what it had when the change was proposed. */
  isCurrent: boolean
  isOpen: boolean
  /** A point reported it, and no person proposed it. */
  isReported: boolean
}

/** The remembered changes of one server. */
function changesOf({ projection, clock }: Approval, server: string): Change[] {
  const { registry, requests } = projection.ledger
  const next = (registry.record('tool-server', server)?.version ?? 0) + 1
  return [...requests.requests.values()].flatMap((record): Change[] => {
    const { received, state } = record
    if (received?.kind !== 'registry') return []
    const entity = received.entities.find(({ type, id }) => type === 'tool-server' && id === server)
    if (entity?.type !== 'tool-server') return []
    return [
      {
        record,
        value: entity.value as ToolServer | undefined,
        isCurrent: entity.version === next,
        isOpen: state === 'pending' && clock.now() < Date.parse(received.expires_at),
        isReported: isReported({ projection }, received),
      },
    ]
  })
}

/** Whether an enforcement point proposed this change of one server. The name alone says so, which can only make approving harder. */
export function isReported(
  { projection }: Pick<Approval, 'projection'>,
  { proposer, entities }: Pick<RegistryAsk, 'proposer' | 'entities'>,
): boolean {
  const isPoint = projection.ledger.registry.enforcementPoint(proposer) !== undefined
  return isPoint && entities.length === 1 && entities[0]?.type === 'tool-server'
}

/** A person proposed a change of this server: it takes the place of those that points reported. */
export function replaceByHand(approval: Approval, server: string, requestId: string): Promise<void> {
  return approval.lanes.serially(`manifest ${server}`, () => replaceReported(approval, server, requestId))
}

/** Ends the open changes of a server that points reported: a newer one takes their place. */
async function replaceReported(approval: Approval, server: string, requestId?: string): Promise<void> {
  for (const { record, isOpen, isReported: reported } of changesOf(approval, server)) {
    if (!isOpen || !reported || record.id === requestId) continue
    await inTurn(approval, record.id, async () => {
      if (record.state !== 'pending') return
      await approval.producer.publishOne('approvals.v1', {
        type: 'request.expired',
        subject: record.id,
        version: record.version + 1,
        data: { request_id: record.id },
      })
    })
  }
}

function keepTexts(
  { projection, manifests }: Approval,
  registered: ToolServer,
  changes: readonly Change[],
  report: ManifestReport,
): void {
  const { server, hash } = report
  const texts = (report.manifests ?? []).map(readManifestText)
  if (!texts.every((each) => each.hash === hash || each.hash === registered.manifest))
    throw new ServiceError('request_malformed', 'manifests: not of this server')
  if (texts.length === 0) return
  manifests.keepOnly(new Set(projection.ledger.registry.toolServers.map(({ id }) => id)))
  const proposed = changes.flatMap(({ isOpen, value }) => (isOpen && value !== undefined ? [value.manifest] : []))
  const named = new Set([hash, registered.manifest, ...proposed])
  for (const each of texts) manifests.put(server, each, named)
}

/**
 * The entry of a server that says something else of itself. Tools keep what people said of them, even if their description changed. A new tool gets
 * the point's guess, marked as one. A tool that is gone leaves, so that a later one of the same name does not get its labels.
 */
function observed(
  registered: ToolServer,
  { hash, identity, tools }: ManifestText,
  guesses: ToolServer['tools'],
): ToolServer {
  const listed = new Set(tools)
  // Names with a slash are methods, which no manifest lists. JSON readers disagree on a member `__proto__`.
  const isThere = (name: string) => name !== '__proto__' && (listed.has(name) || name.includes('/'))
  const known = Object.entries(registered.tools).filter(([name]) => isThere(name))
  const guessed = Object.entries(guesses)
    .filter(([name]) => isThere(name) && !Object.hasOwn(registered.tools, name))
    .map(([name, { labels, ...more }]): [string, ToolServer['tools'][string]] => [
      name,
      { labels: [...new Set([...labels.slice(0, 31), guessedLabel])], ...more },
    ])
  const url = 'url' in identity ? identity.url : registered.url
  const entry = { ...registered, url, manifest: hash, tools: Object.fromEntries([...known, ...guessed]) }
  const read = toolServerSchema.safeParse(entry)
  if (!read.success) throw new ServiceError('request_malformed', 'manifests: no entry can be made of it')
  return read.data
}
