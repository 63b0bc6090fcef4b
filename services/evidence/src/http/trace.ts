import { ServiceError } from '@bailiwick/errors'
import type { Voice } from '@bailiwick/projection'
import type { HttpServer } from '@bailiwick/service-kit'
import { z } from 'zod'
import type { LeafIndex } from '../leaf-index.ts'
import type { LogReader } from '../log-reader.ts'
import { gather } from '../trace/gather.ts'
import { flatten, traceOf } from '../trace/trace.ts'
import type { TraceTrust } from '../trace/verify-step.ts'

/** Ids may be SPIFFE IDs, with slashes, percent-encoded or not. */
const paramsSchema = z.strictObject({ '*': z.string().min(1).max(2100) })

/**
 * `GET /v1/trace/{id}`: the story of an action, call, credential, grant, request, agent, approver or task, as trees in time
 * (`trees`) and one step after the other, newest first (`steps`). `verified` says whether every step's signatures hold.
 */
export function traceRoute(
  server: HttpServer,
  {
    log,
    keyRing,
    projection,
    trust,
  }: Pick<Voice, 'projection' | 'keyRing'> & {
    log: () => { index: LeafIndex; reader: LogReader }
    trust: TraceTrust['trust']
  },
): void {
  server.get('/v1/trace/*', { schema: { params: paramsSchema } }, async (request) => {
    const id = request.params['*']
    const { registry } = projection.ledger
    const { index, reader } = log()
    const { ids, leaves, truncated } = await gather(id, { index, readLeaf: reader.leaf, registry })
    if (leaves.length === 0) throw new ServiceError('entity_unknown', 'the log names no such thing')
    const trees = await traceOf(ids, leaves, { trust, keyRing, registry })
    const steps = flatten(trees)
    const { size, note } = reader.checkpoint()
    return { id, verified: steps.every(({ verified }) => verified), truncated, steps, trees, size, checkpoint: note }
  })
}
