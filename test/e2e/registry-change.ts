import { randomBytes } from 'node:crypto'
import { buildRegistryStatement, statementChallenge, statementHash } from '@bailiwick/approval-statement'
import type { EntityChange, RegistryStatement } from '@bailiwick/contracts'
import { jcsHash } from '@bailiwick/credentials'
import { newId } from '@bailiwick/service-kit'
import { sample } from '@bailiwick/standalone/sample'
import type { Granted } from './granted.ts'

type Change = { [T in EntityChange['type']]: Omit<Extract<EntityChange, { type: T }>, 'after'> }[EntityChange['type']]

/** A registry change, asked for and approved; without a value it retires. `signed` is what the passkey signs, where it is not what is handed in. */
export async function changeRegistry(
  { world, people }: Pick<Granted, 'world' | 'people'>,
  change: Change,
  signed: (statement: RegistryStatement) => RegistryStatement = (statement) => statement,
): Promise<void> {
  const { clock, random, trust, approval } = world
  const requestId = newId('req', clock.now(), random)
  const expires_at = new Date(clock.now() + 600_000).toISOString()
  const { value, ...named } = change
  const entity = { ...named, ...(value === undefined ? {} : { after: jcsHash(value) }) }
  const statement = buildRegistryStatement({
    installation: trust.installation,
    change_id: requestId,
    proposer: sample.owner,
    entities: [entity],
    not_after: expires_at,
    nonce: randomBytes(16).toString('base64url'),
    now: clock.now(),
  })
  const entities = [{ ...entity, ...(value === undefined ? {} : { value }) } as EntityChange]
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
      data: {
        request_id: requestId,
        statement,
        statement_hash: statementHash(statement),
        assertions: [people.passkey.sign(statementChallenge(signed(statement)))],
      },
    },
  ])
}
