import { statementHash } from '@bailiwick/approval-statement'
import type { Authorization, DecodedEvent, Entity, EntityType } from '@bailiwick/contracts'
import { exampleEvent } from '@bailiwick/contracts/examples'
import { jcsHash } from '@bailiwick/credentials'
import { describe, expect, it } from 'vitest'
import { anEvent, at, noon } from './events.fixture.ts'
import { type JudgeChange, type RegistryChange, RegistryState } from './registry-state.ts'

const exampleOf = <T extends EntityType>(type: T) =>
  (exampleEvent('registry.v1', `${type}.registered`).data as { value: Entity<T> }).value
const approver = exampleOf('approver')
const yes: JudgeChange = async () => true
type ByApprovers = Extract<Authorization, { kind: 'approvers' }>

interface Told {
  version?: number
  time?: number
  hash?: string
  id?: string
}
/** `value` undefined: retired. */
function change<T extends EntityType>(
  verb: 'registered' | 'changed' | 'retired',
  type: T,
  value: Entity<T> | undefined,
  { version = 1, time = 0, hash = value && jcsHash(value), id = value?.id ?? exampleOf(type).id }: Told = {},
): DecodedEvent<'registry.v1'> {
  const data = { entity: { type, id }, ...(value === undefined ? {} : { value, hash }) } as never
  return anEvent('registry.v1', `${type}.${verb}` as never, { about: `${type} ${id}`, version, time: at(time), data })
}
const named = (name: string): Entity<'approver'> => ({ ...approver, name })

it('knows every passkey that an approver ever had, and none that was never authorised', async () => {
  const [first] = approver.credentials
  if (first === undefined) throw new Error('no passkey')
  const second = { ...first, credential_id: 'second' }
  const registry = new RegistryState(async ({ version }) => version < 4)
  const versions = [
    change('registered', 'approver', { ...approver, credentials: [first] }, { version: 1 }),
    change('changed', 'approver', { ...approver, credentials: [second] }, { version: 2 }),
    change('retired', 'approver', undefined, { version: 3 }),
    change(
      'registered',
      'approver',
      { ...approver, credentials: [{ ...first, credential_id: 'forged' }] },
      { version: 4 },
    ),
  ]
  for (const event of versions) await registry.apply(event)
  expect(registry.passkeysOf(approver.id)).toEqual([first.credential_id, 'second'])
  expect(registry.passkeysOf('nobody')).toEqual([])
})

it('knows what people signed last while parts of it are not made, and forgets it as soon as they change anything else (V3)', async () => {
  const registry = new RegistryState(yes)
  const [one, two] = ['one', 'two'].map((id) => ({ ...exampleOf('rule'), id })) as [Entity<'rule'>, Entity<'rule'>]
  const both = [one, two].map((rule) => ({ type: 'rule', id: rule.id, version: 1, after: jcsHash(rule) }))
  const signed = (nonce: string, entities: object[]) =>
    ({ kind: 'approvers', statement: { kind: 'registry', nonce, entities }, assertions: [] }) as unknown as ByApprovers
  const make = async (rule: Entity<'rule'>, by: ByApprovers, version = 1) => {
    const event = change(version === 1 ? 'registered' : 'changed', 'rule', rule, { version })
    const data = { ...event.data, authorization: by } as never
    expect(await registry.apply({ ...event, data })).toBe('counts')
  }
  const half = signed('half', both)
  expect([registry.half, registry.view().begun]).toEqual([undefined, undefined])
  await make(one, half)
  expect([registry.half, registry.view().begun]).toEqual([half, statementHash(half.statement)])
  const key = exampleOf('service-key')
  expect(await registry.apply(change('registered', 'service-key', key))).toBe('counts')
  expect(registry.half).toEqual(half) // services' keys are not part of a human change
  const other = signed('other', [{ type: 'rule', id: 'one', version: 2 }])
  await make({ ...one, order: 7 }, other, 2)
  expect([registry.half, registry.view().begun]).toEqual([undefined, statementHash(other.statement)])
  await make(two, half)
  expect(registry.half).toBeUndefined() // all parts of the change are there
  const enrolled = change('registered', 'approver', approver)
  const data = { ...enrolled.data, authorization: { kind: 'invitation', jws: '' } } as never
  expect(await registry.apply({ ...enrolled, data })).toBe('counts')
  expect(registry.view().begun).toBeUndefined()
})

describe('versions', () => {
  it('go from registration on, one by one, and a retired entity may come back', async () => {
    const registry = new RegistryState(yes)
    const told: [DecodedEvent<'registry.v1'>, string][] = [
      [change('changed', 'approver', named('A'), { version: 1 }), 'void'],
      [change('registered', 'approver', named('A'), { version: 2 }), 'void'],
      [change('registered', 'approver', named('A'), { version: 1 }), 'counts'],
      [change('registered', 'approver', named('B'), { version: 2 }), 'void'],
      [change('changed', 'approver', named('B'), { version: 1 }), 'void'],
      [change('changed', 'approver', named('B'), { version: 3 }), 'void'],
      [change('changed', 'approver', named('B'), { version: 2 }), 'counts'],
      [change('retired', 'approver', undefined, { version: 3 }), 'counts'],
      [change('changed', 'approver', named('C'), { version: 4 }), 'void'],
      [change('retired', 'approver', undefined, { version: 4 }), 'void'],
      [change('registered', 'approver', named('C'), { version: 4 }), 'counts'],
    ]
    for (const [event, verdict] of told) expect(await registry.apply(event)).toBe(verdict)
    expect(registry.record('approver', approver.id)).toMatchObject({ version: 4, value: named('C') })
  })

  it('are of one entity: another of the same name but type is another', async () => {
    const registry = new RegistryState(yes)
    const rule = { ...exampleOf('rule'), id: approver.id }
    expect(await registry.apply(change('registered', 'approver', approver))).toBe('counts')
    expect(await registry.apply(change('registered', 'rule', rule))).toBe('counts')
    expect(registry.get('rule', approver.id)).toEqual(rule)
    expect(registry.get('approver', approver.id)).toEqual(approver)
  })
})

describe('what is void', () => {
  it('a value that is not what its hash says, or not of the entity that is named (V3)', async () => {
    const registry = new RegistryState(yes)
    const other = jcsHash(named('Mallory'))
    expect(await registry.apply(change('registered', 'approver', approver, { hash: other }))).toBe('void')
    expect(await registry.apply(change('registered', 'approver', approver, { id: 'somebody-else' }))).toBe('void')
    expect(registry.records()).toEqual([])
  })

  it('what its judge refuses: nothing changes, and the version is free for another (V3)', async () => {
    let answer = false
    const asked: RegistryChange[] = []
    const registry = new RegistryState(async (change) => {
      asked.push(change)
      return answer
    })
    expect(await registry.apply(change('registered', 'approver', approver))).toBe('void')
    expect([registry.approvers, registry.view().enrolled]).toEqual([[], false])
    answer = true
    expect(await registry.apply(change('registered', 'approver', approver, { time: 7 }))).toBe('counts')
    expect(await registry.apply(change('changed', 'approver', named('B'), { version: 2 }))).toBe('counts')
    expect(await registry.apply(change('retired', 'approver', undefined, { version: 3 }))).toBe('counts')
    const [first, second] = [jcsHash(approver), jcsHash(named('B'))]
    expect(asked.slice(1)).toMatchObject([
      { type: 'approver', id: approver.id, version: 1, before: undefined, after: first, at: noon + 7 },
      { version: 2, before: first, after: second, value: named('B') },
      { version: 3, before: second, after: undefined, value: undefined },
    ])
  })

  it('the judge sees the registry as it was before', async () => {
    const seen: number[] = []
    const registry = new RegistryState(async (_, before) => seen.push(before.approvers.length) > 0)
    await registry.apply(change('registered', 'approver', approver))
    await registry.apply(change('registered', 'approver', { ...approver, id: 'second' }))
    expect(seen).toEqual([0, 1])
  })
})

describe('what it was', () => {
  it('a view of any time shows who could approve then; enrolment is for ever', async () => {
    const registry = new RegistryState(yes)
    expect(registry.view()).toMatchObject({ enrolled: false, approvers: new Map() })
    await registry.apply(change('registered', 'approver', named('A'), { time: 1000 }))
    await registry.apply(change('changed', 'approver', named('B'), { version: 2, time: 2000 }))
    await registry.apply(change('retired', 'approver', undefined, { version: 3, time: 3000 }))
    await registry.apply(change('registered', 'approver', named('C'), { version: 4, time: 4000 }))
    const nameAt = (ms: number) => registry.view(noon + ms).approvers.get(approver.id)?.name
    expect([999, 1000, 1999, 2000, 2999, 3000, 3999, 4000].map(nameAt)).toEqual([
      undefined,
      'A',
      'A',
      'B',
      'B',
      undefined,
      undefined,
      'C',
    ])
    expect(registry.view().approvers.get(approver.id)?.name).toBe('C')
    expect(registry.view(noon).enrolled).toBe(true)
  })

  it('of a time, and all that came of it since, with its end', async () => {
    const registry = new RegistryState(yes)
    await registry.apply(change('registered', 'approver', named('A'), { time: 1000 }))
    await registry.apply(change('changed', 'approver', named('B'), { version: 2, time: 2000 }))
    await registry.apply(change('retired', 'approver', undefined, { version: 3, time: 3000 }))
    const namesSince = (ms: number) => registry.since('approver', approver.id, noon + ms).map((value) => value?.name)
    expect([999, 1000, 1999, 2000, 3000, 4000].map(namesSince)).toEqual([
      ['A', 'B', undefined],
      ['A', 'B', undefined],
      ['A', 'B', undefined],
      ['B', undefined],
      [undefined],
      [undefined],
    ])
    expect(registry.since('approver', 'nobody', noon)).toEqual([])
  })

  it('a view keeps rules and approvers apart', async () => {
    const registry = new RegistryState(yes)
    await registry.apply(change('registered', 'approver', { ...approver, id: 'same' }))
    await registry.apply(change('registered', 'rule', { ...exampleOf('rule'), id: 'same' }))
    const { approvers, rules } = registry.view()
    expect([approvers.get('same')?.id, rules.get('same')?.order]).toEqual(['same', exampleOf('rule').order])
    expect([approvers.size, rules.size]).toEqual([1, 1])
  })
})

describe('a recovery', () => {
  const recovery = exampleOf('recovery')
  const registered = (time: number) => change('registered', 'recovery', recovery, { time })
  const known = (registry: RegistryState) => registry.view().recoveries.get(recovery.id)

  it('runs from when it was there to be seen, even if its writer gave an earlier time (V3)', async () => {
    const registry = new RegistryState(yes)
    await registry.apply(registered(-1_000_000), noon + 5)
    expect(known(registry)).toEqual({ value: recovery, takenAt: noon + 5, used: false })
    const later = new RegistryState(yes)
    await later.apply(registered(9), noon + 5)
    expect(known(later)?.takenAt).toBe(noon + 9)
  })

  it('is remembered as used, and forgotten once it was retired (V10)', async () => {
    const registry = new RegistryState(yes)
    await registry.apply(registered(0))
    const event = change('registered', 'approver', approver)
    const authorization = { kind: 'recovery', recovery: recovery.id, jws: 'x' }
    await registry.apply({ ...event, data: { ...event.data, authorization } as never })
    expect(known(registry)?.used).toBe(true)
    await registry.apply(change('retired', 'recovery', undefined, { version: 2 }))
    expect(known(registry)).toBeUndefined()
  })
})

it('what stands is what counted: the same once more is nothing new, anything else never stood', async () => {
  const registry = new RegistryState(yes)
  await registry.apply(change('registered', 'approver', named('A')))
  await registry.apply(change('changed', 'approver', named('B'), { version: 2 }))
  const stands = (name: string, version: number) =>
    registry.stands(change('changed', 'approver', named(name), { version }).data, version)
  expect([stands('A', 1), stands('B', 2), stands('B', 1), stands('C', 3)]).toEqual([true, true, false, false])
})

describe('who is who', () => {
  it('a passkey leads to its approver until that one, or the passkey, is gone', async () => {
    const registry = new RegistryState(yes)
    const [credential] = approver.credentials
    const key = credential?.credential_id ?? ''
    expect(registry.passkey(key)).toBeUndefined()
    await registry.apply(change('registered', 'approver', approver))
    expect(registry.passkey(key)).toEqual({ approver, credential })
    expect(registry.passkey('')).toBeUndefined()
    const without = { ...approver, credentials: [] }
    await registry.apply(change('changed', 'approver', without, { version: 2 }))
    expect(registry.passkey(key)).toBeUndefined()
    await registry.apply(change('changed', 'approver', approver, { version: 3 }))
    await registry.apply(change('retired', 'approver', undefined, { version: 4 }))
    expect(registry.passkey(key)).toBeUndefined()
  })

  it('an instance is an agent and one of its keys, by its whole name', async () => {
    const registry = new RegistryState(yes)
    const agent = exampleOf('agent')
    await registry.apply(change('registered', 'agent', agent))
    const key = agent.attestor.kind === 'registered_key' ? agent.attestor.keys[0] : undefined
    expect(registry.instance(`${agent.id}/${key?.instance}`)).toEqual({ agent, jwk: key?.jwk })
    for (const name of [agent.id, `${agent.id}/two`, `${agent.id}/`, `${agent.id}x/${key?.instance}`, '', '/'])
      expect(registry.instance(name)).toBeUndefined()
    await registry.apply(change('retired', 'agent', undefined, { version: 2 }))
    expect(registry.instance(`${agent.id}/${key?.instance}`)).toBeUndefined()
    expect(registry.all('agent')).toEqual([])
  })
})

it('says whether what was judged by the registry of a time must be judged again (V3)', async () => {
  const registry = new RegistryState(yes)
  await registry.apply(change('registered', 'approver', named('A'), { time: 10 }))
  const { taken } = registry
  const changed = (ms: number) => registry.changedSince(taken, noon + ms)
  expect([changed(0), changed(10), changed(20)]).toEqual([false, false, false])
  await registry.apply(change('changed', 'approver', named('B'), { version: 3, time: 20 })) // void
  expect(changed(20)).toBe(false)
  await registry.apply(change('changed', 'approver', named('B'), { version: 2, time: 20 }))
  expect([changed(19), changed(20), changed(21)]).toEqual([false, true, true])
  expect(registry.changedSince(registry.taken, noon + 21)).toBe(false)
})

it('keeps who signed each version, by the names of that time, even if the change itself removes the signer', async () => {
  const [passkey] = approver.credentials
  if (passkey === undefined) throw new Error('no passkey')
  const registry = new RegistryState(yes)
  const signed = {
    kind: 'approvers',
    statement: { kind: 'registry', proposer: 'carl', change_id: 'req_1', entities: [] },
    assertions: [{ credential_id: passkey.credential_id }],
  } as unknown as ByApprovers
  const by = (event: DecodedEvent<'registry.v1'>, authorization: unknown) => ({
    ...event,
    data: { ...event.data, authorization } as never,
  })
  await registry.apply(by(change('registered', 'approver', named('Olivia')), { kind: 'root', jws: '' }))
  await registry.apply(by(change('changed', 'approver', named('Olivia O.'), { version: 2 }), signed))
  await registry.apply(by(change('retired', 'approver', undefined, { version: 3 }), signed))
  await registry.apply(by(change('registered', 'rule', exampleOf('rule')), signed))
  const of = (type: EntityType, id: string) => registry.versions(type, id).map(({ version, by }) => [version, by])
  const signers = (name: string) => ({
    kind: 'approvers',
    signers: [{ id: approver.id, name }],
    proposer: 'carl',
    requestId: 'req_1',
  })
  expect(of('approver', approver.id)).toEqual([
    [1, { kind: 'root', signers: [] }],
    [2, signers('Olivia')],
    [3, signers('Olivia O.')],
  ])
  expect(of('rule', exampleOf('rule').id)).toEqual([[1, signers('Olivia O.')]])
  expect(registry.versions('rule', 'none')).toEqual([])
})
