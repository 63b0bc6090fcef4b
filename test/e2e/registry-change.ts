import { randomBytes } from 'node:crypto'
import { buildRegistryStatement, statementChallenge, statementHash } from '@bailiwick/approval-statement'
import type { EntityChange, EventData, RegistryStatement } from '@bailiwick/contracts'
import { jcsHash } from '@bailiwick/credentials'
import { newId } from '@bailiwick/kit'
import { sample } from '@bailiwick/standalone/sample'
import type { Granted } from './granted.ts'

type Change = { [T in EntityChange['type']]: Omit<Extract<EntityChange, { type: T }>, 'after'> }[EntityChange['type']]

/** A registry change of one entity or several, asked for and approved; without a value one retires. Gives the approval. `signed` is what the passkey signs, where it is not what is handed in; `lifeMs`, how long it can be made. */
export async function changeRegistry(
  { world, people }: Pick<Granted, 'world' | 'people'>,
  change: Change | readonly Change[],
  signed: (statement: RegistryStatement) => RegistryStatement = (statement) => statement,
  lifeMs = 600_000,
): Promise<EventData<'approvals.v1', 'request.approved'>> {
  const { clock, random, trust, approval } = world
  const requestId = newId('req', clock.now(), random)
  const expires_at = new Date(clock.now() + lifeMs).toISOString()
  const entities = [change]
    .flat()
    .map(
      ({ value, ...named }) =>
        ({ ...named, ...(value === undefined ? {} : { after: jcsHash(value), value }) }) as EntityChange,
    )
  const statement = buildRegistryStatement({
    installation: trust.installation,
    change_id: requestId,
    proposer: sample.owner,
    entities: entities.map(({ value: _, ...named }) => named),
    not_after: expires_at,
    nonce: randomBytes(16).toString('base64url'),
    now: clock.now(),
  })
  const approved = {
    request_id: requestId,
    statement,
    statement_hash: statementHash(statement),
    assertions: [people.passkey.sign(statementChallenge(signed(statement)))],
  }
  await approval.producer.publish('approvals.v1', [
    {
      type: 'request.received',
      subject: requestId,
      version: 1,
      data: { kind: 'registry', request_id: requestId, proposer: sample.owner, entities, expires_at },
    },
    {
      type: 'request.approved',
      subject: requestId,
      version: 2,
      data: approved,
    },
  ])
  return approved
}
