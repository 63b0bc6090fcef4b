import { expect, it } from 'vitest'
import { granted } from './granted.ts'
import { eventually, type World } from './world.ts'

/** The events of the topic in order: the declared sequences and the acknowledged ones. */
async function told(world: World): Promise<string[]> {
  return (await world.events('revocations.v1')).map(({ type, version, data }) =>
    'sequence' in data ? `acknowledged ${data.sequence}` : `${type.split('.')[1]} ${version}`,
  )
}

it('records when each revocation was durable, and how old a reader’s state may be (V7)', async () => {
  await using system = await granted({ issuer: { maxStalenessMs: 15_000 } })
  const { world, grant } = system
  expect(await world.revoke('grant', grant.grantId)).toBe(200)
  expect(await world.revoke('delegation', `dlg_${'0'.repeat(20)}`)).toBe(200)
  await eventually(async () => (await told(world)).filter((each) => each.startsWith('acknowledged')).length === 2)
  const all = await told(world)
  for (const sequence of [1, 2])
    expect(all.indexOf(`acknowledged ${sequence}`)).toBeGreaterThan(all.indexOf(`declared ${sequence}`))
  const [first] = (await world.events('revocations.v1')).filter(({ type }) => type === 'revocation.acknowledged')
  expect(first).toMatchObject({ data: { sequence: 1, max_staleness_ms: 15_000 } })
  expect(first).not.toHaveProperty('version')
})

it('acknowledges what its killed predecessor had declared, and nothing twice (V7)', async () => {
  await using system = await granted()
  const { world, grant } = system
  expect(await world.revoke('grant', grant.grantId)).toBe(200)
  await eventually(async () => (await told(world)).includes('acknowledged 1'))
  await world.issuer?.[Symbol.asyncDispose]()
  const killed = await world.participant('issuer', 'issuer-event')
  await killed.producer.publishOne('revocations.v1', {
    type: 'revocation.declared',
    subject: 'grant other',
    key: 'revocations',
    version: 2,
    data: {
      revocation_id: `rev_${'k'.repeat(20)}`,
      kind: 'grant',
      target: `grt_${'A'.repeat(43)}`,
      reason: 'ordered_by_operator',
      by: { kind: 'operator', id: 'operator' },
    },
  })
  await killed[Symbol.asyncDispose]()
  await world.startIssuer()
  await eventually(async () => (await told(world)).includes('acknowledged 2'))
  await world.issuer?.[Symbol.asyncDispose]()
  await world.startIssuer()
  expect(await world.revoke('delegation', `dlg_${'0'.repeat(20)}`)).toBe(200)
  await eventually(async () => (await told(world)).includes('acknowledged 3'))
  expect(await told(world)).toEqual([
    'declared 1',
    'acknowledged 1',
    'declared 2',
    'acknowledged 2',
    'declared 3',
    'acknowledged 3',
  ])
})
