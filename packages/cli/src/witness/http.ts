import { hash } from 'node:crypto'
import { type ErrorCode, ServiceError } from '@bailiwick/errors'
import type { HttpServer } from '@bailiwick/host'
import { z } from 'zod'
import type { Witness, WitnessedLogs, WitnessRefusal } from './witness.ts'
import type { WitnessState } from './witness-state.ts'

/** 63 hashes, and a checkpoint of 16 signatures of 5 kB each: every implementation must accept this much. */
const bodyLimit = 128 * 1024
const text = 'text/plain; charset=utf-8'
const pathSchema = z.strictObject({ origin: z.string() })

const errors: Record<WitnessRefusal, ErrorCode> = {
  body_malformed: 'request_malformed',
  origin_unknown: 'log_unknown',
  signature_untrusted: 'checkpoint_untrusted',
  old_size_beyond: 'request_malformed',
  checkpoint_inconsistent: 'checkpoint_inconsistent',
}
const details: Partial<Record<WitnessRefusal, string>> = {
  body_malformed: 'not an old size, a proof, an empty line and a checkpoint',
  old_size_beyond: 'the old size is larger than the checkpoint',
}

/** `POST /add-checkpoint` (C2SP tlog-witness), and the last cosigned checkpoint of each log for monitors. */
export function witnessRoutes(
  server: HttpServer,
  {
    witness,
    state,
    logs,
  }: { witness: Pick<Witness, 'addCheckpoint'>; state: Pick<WitnessState, 'last'>; logs: WitnessedLogs },
): void {
  server.post('/add-checkpoint', { bodyLimit, config: { accepts: 'anything' } }, async (request, reply) => {
    const answer = await witness.addCheckpoint(request.rawBody ?? new Uint8Array())
    switch (answer.outcome) {
      case 'cosigned':
        return reply.type(text).send(answer.lines)
      case 'stale':
        // The type without a parameter, because clients compare it exactly. A string body would get one.
        return reply
          .code(409)
          .header('content-type', 'text/x.tlog.size')
          .send(Buffer.from(`${answer.size}\n`))
      case 'refused':
        throw new ServiceError(errors[answer.reason], details[answer.reason])
    }
  })
  const origins = new Map([...logs.keys()].map((origin) => [hash('sha256', origin, 'hex'), origin]))
  server.get('/:origin/checkpoint', { schema: { params: pathSchema } }, async (request, reply) => {
    const origin = origins.get(request.params.origin)
    const last = origin === undefined ? undefined : state.last(origin)
    if (last === undefined) throw new ServiceError('log_unknown', 'no checkpoint of such a log was cosigned')
    return reply.header('cache-control', 'no-cache').type(text).send(last.note)
  })
}
