import type { Rule } from '@bailiwick/contracts'
import { jcsHash } from '@bailiwick/credentials'
import { expect, it } from 'vitest'
import { People } from './people.ts'
import { changeRegistry } from './registry-change.ts'
import { eventually, World } from './world.ts'

const waitMs = 60_000

const aRule = (id: string): Rule => ({
  id,
  order: 900_000,
  match: {},
  approvers: { group: 'owners', quorum: 1 },
  owner_may_approve: true,
  modes: ['window'],
  max_window_seconds: 600,
  narrowing: true,
})
const made = (...ids: string[]) => ids.map((id) => ({ type: 'rule' as const, id, version: 1, value: aRule(id) }))

it.each([
  ['a moment', 0],
  ['ten hours, and reads no earlier request,', 10],
])(
  'an issuer that returns %s later finishes a change begun in time, and does not begin a late one (V3)',
  async (_, hours) => {
    await using world = await World.open()
    const people = await People.enrolled(world)
    const { registry } = world.pdp.pdp.projection.ledger
    const there = (id: string) => eventually(() => registry.get('rule', id) !== undefined, waitMs)
    await world.issuer?.[Symbol.asyncDispose]()

    // All of it happens in the one millisecond in which the changes can be made.
    const { now } = world.clock
    const then = now()
    world.clock.now = () => then
    const change = (...ids: string[]) => changeRegistry({ world, people }, made(...ids), (statement) => statement, 1)
    const { statement, assertions } = await change('first', 'second')
    // As if the issuer had died before it wrote the second one.
    const issuer = await world.participant('issuer', 'issuer-event')
    const value = aRule('first')
    await issuer.producer.publishOne('registry.v1', {
      type: 'rule.registered',
      subject: 'rule first',
      version: 1,
      data: {
        entity: { type: 'rule', id: 'first' },
        value,
        hash: jcsHash(value),
        authorization: { kind: 'approvers', statement: statement as never, assertions },
      },
    })
    await issuer[Symbol.asyncDispose]()
    await there('first')
    await change('third', 'fourth')
    world.clock.now = now
    world.ahead = hours * 3_600_000
    await world.startIssuer()
    await there('second')
    // The issuer works in order, so it has judged everything before this change.
    await changeRegistry({ world, people }, made('last'))
    await there('last')
    expect([registry.get('rule', 'third'), registry.get('rule', 'fourth')]).toEqual([undefined, undefined])
  },
  120_000,
)
