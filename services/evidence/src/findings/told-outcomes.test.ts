import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generateKey, type Outcome, outcomeHash, type SigningKey, sha256, signOutcome } from '@bailiwick/credentials'
import { logger, metrics } from '@bailiwick/host'
import { testClock } from '@bailiwick/kit'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import type { Consumed } from '../log/tree-head.ts'
import type { Ends } from './gaps.ts'
import { ToldOutcomes } from './told-outcomes.ts'

let dir = ''
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'told-'))
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
})
afterEach(() => {
  vi.useRealTimers()
  rmSync(dir, { recursive: true })
})

const installation = 'ins_example00000000000000'
const key: SigningKey<'outcome'> = generateKey('outcome')
const outcome = (sequence: number, by = key, more: Partial<Outcome> = {}) =>
  signOutcome(
    {
      installation,
      enforcement_point: 'erp-gateway',
      sequence,
      call_id: `call_00000000000${sequence}`,
      decision_id: `dec_adjust-invoice-4711${sequence}`,
      action_digest: sha256(Buffer.from('action')),
      status: 'succeeded',
      at: '2026-07-01T09:04:00.000Z',
      ...more,
    },
    by,
  )

/** The outcome that the point signed under this number. Signed once, for both evidence and the decision point. */
const signedOnce = new Map<number, string>()
const signed = (sequence: number) => {
  const jws = signedOnce.get(sequence) ?? outcome(sequence)
  signedOnce.set(sequence, jws)
  return jws
}

/** Evidence's side: a log that has the outcomes that the decision point reported, and a bus. */
function aWorld() {
  const clock = testClock()
  const findings: object[] = []
  const names = new Set<string>()
  const reported: Uint8Array[] = []
  const under = new Map<string, string>()
  const bus = { end: 0, consumed: {} as Consumed, answers: true, isFindable: true }
  const { publicJwk: outcome_jwk } = key
  const point = { id: 'erp-gateway', outcome_jwk }
  let reads = () => undefined as unknown
  const open = (more: { mostOfOnePoint?: number } = {}) =>
    new ToldOutcomes({
      ...more,
      dir,
      trust: { installation },
      participant: {
        projection: {
          ledger: { registry: { enforcementPoint: (id: string) => (id === point.id ? point : undefined) } },
        },
        producer: {
          publish: async (_: string, drafts: readonly { type: string; subject: string; data: object }[]) => {
            for (const { type, subject, data } of drafts) {
              findings.push({ type, subject, data })
              names.add(subject)
            }
            return []
          },
        },
      } as never,
      reported: async () => reported,
      outcomeUnder: (instance, sequence) => under.get(`${instance} ${sequence}`),
      isTold: (name) => names.has(name),
      findable: () => () => bus.isFindable,
      lag: {
        get consumed() {
          return bus.consumed
        },
        onReading: (begins: () => (ends: Ends) => void) => {
          reads = () => begins()({ 'decisions.v1': [bus.end] })
          return () => undefined
        },
      },
      clock,
      logger: logger({ service: 'evidence', level: 'silent' }),
      metrics: metrics({ service: 'evidence', processMetrics: false }),
    })
  const relay = (sequence: number, jws = signed(sequence)) =>
    reported.push(Buffer.from(JSON.stringify({ data: { enforcement_point: 'erp-gateway', sequence, outcome: jws } })))
  const pass = async (seconds: number) => {
    for (let n = 0; n < seconds; n++) {
      if (bus.answers) reads()
      clock.advance(1000)
      await vi.advanceTimersByTimeAsync(1000)
      await new Promise(setImmediate)
    }
    await new Promise((resolve) => setTimeout(resolve, 200)) // time for files to be removed
  }
  /** Lets time pass in one jump. */
  const jump = async (seconds: number) => {
    clock.advance((seconds - 3) * 1000)
    await pass(3)
  }
  const refuse = (jws: string) =>
    reported.push(Buffer.from(JSON.stringify({ type: 'outcome.refused', data: { outcome: jws } })))
  return { open, relay, refuse, under, pass, jump, bus, findings }
}

/** Sends an outcome as its enforcement point does once the decision point has answered. */
async function tell(outcomes: ToldOutcomes, jws: string, answered = true): Promise<void> {
  const [error] = await outcomes.tell([jws], { answered })
  if (error) throw error
}

async function told(world: ReturnType<typeof aWorld>, ...sequences: number[]): Promise<ToldOutcomes> {
  const outcomes = world.open()
  for (const sequence of sequences) await tell(outcomes, signed(sequence))
  return outcomes
}

it('tells of an outcome that the decision point did not relay within a minute, once, and of no other', async () => {
  const world = aWorld()
  await using _outcomes = await told(world, 1, 2, 2)
  world.relay(1)
  await world.pass(59)
  expect(world.findings).toEqual([])
  await world.pass(5)
  const data = { decision_id: 'dec_adjust-invoice-47112', enforcement_point: 'erp-gateway', sequence: 2 }
  expect(world.findings).toEqual([
    { type: 'outcome.unrelayed', subject: 'dec_adjust-invoice-47112 erp-gateway#2', data },
  ])
  await world.pass(60)
  expect(world.findings).toHaveLength(1)
  await expect.poll(() => readdirSync(dir)).toEqual([])
})

it('accuses an enforcement point, and no decision point, of a second outcome of one decision, once (V10)', async () => {
  const world = aWorld()
  await using outcomes = await told(world, 1)
  world.relay(1, outcome(1, key, { status: 'not_executed' }))
  await world.pass(2)
  const data = { decision_id: 'dec_adjust-invoice-47111', enforcement_point: 'erp-gateway', sequence: 1 }
  const signed_sha256 = outcomeHash(signed(1))
  const contradicted = { type: 'outcome.contradicted', data: { ...data, of: 'decision', signed_sha256 } }
  expect(world.findings).toMatchObject([contradicted])
  await tell(outcomes, signed(1))
  await world.pass(65)
  expect(world.findings).toHaveLength(1)
  await expect.poll(() => readdirSync(dir)).toEqual([])
})

const instance = `${'I'.repeat(21)}A`
const previous = `${'P'.repeat(42)}A`

it('accuses an instance that gives its number to a second outcome (V10)', async () => {
  const world = aWorld()
  await using outcomes = world.open()
  world.under.set(`erp-gateway ${instance} 2`, 'another')
  const second = outcome(2, key, { instance, previous })
  world.refuse(second)
  await tell(outcomes, second)
  await world.pass(2)
  expect(world.findings).toMatchObject([
    { type: 'outcome.contradicted', data: { instance, sequence: 2, of: 'sequence' } },
  ])
})

it('accuses no decision point that put on the log what it did not take (V15)', async () => {
  const world = aWorld()
  await using outcomes = world.open()
  const refused = outcome(2, key, { instance, previous })
  world.refuse(refused)
  await tell(outcomes, refused)
  await world.pass(70)
  expect(world.findings).toEqual([])
  await expect.poll(() => readdirSync(dir)).toEqual([])
})

it('ignores what a decision point relays under another decision, or of another point (V10)', async () => {
  const world = aWorld()
  await using outcomes = await told(world, 1)
  world.relay(1, outcome(1, key, { decision_id: `dec_${'9'.repeat(20)}` }))
  world.relay(1, outcome(1, generateKey('outcome'), { status: 'failed' }))
  await world.pass(65)
  expect(world.findings).toMatchObject([{ type: 'outcome.unrelayed' }])
  expect(outcomes).toBeDefined()
})

/** ECDSA accepts both (r, s) and (r, n - s), so anyone can write the same signed content as a second text. */
function twinOf(jws: string): string {
  const n = BigInt('0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551')
  const cut = jws.lastIndexOf('.')
  const signature = Buffer.from(jws.slice(cut + 1), 'base64url')
  const s = (n - BigInt(`0x${signature.toString('hex', 32)}`)).toString(16).padStart(64, '0')
  return `${jws.slice(0, cut)}.${Buffer.concat([signature.subarray(0, 32), Buffer.from(s, 'hex')]).toString('base64url')}`
}

it('accuses no one because a stranger spells a signature of the log in another way (V15)', async () => {
  const world = aWorld()
  await using outcomes = world.open()
  world.relay(1)
  await tell(outcomes, twinOf(signed(1)))
  await world.pass(65)
  expect(world.findings).toEqual([])
  await expect.poll(() => readdirSync(dir)).toEqual([])
})

it('is not put off by a decision point that reports what was signed without its signature', async () => {
  const world = aWorld()
  await using _outcomes = await told(world, 1)
  world.relay(1, `${signed(1).slice(0, signed(1).lastIndexOf('.'))}.${Buffer.alloc(64, 1).toString('base64url')}`)
  await world.pass(65)
  expect(world.findings).toHaveLength(1)
})

it('tells of each where a point lost its store and counts from 1 again (V1)', async () => {
  const world = aWorld()
  await using outcomes = await told(world, 1)
  await world.pass(65)
  await tell(outcomes, outcome(1, key, { decision_id: 'dec_adjust-invoice-47119' }))
  await world.pass(65)
  expect(world.findings).toMatchObject([
    { data: { decision_id: 'dec_adjust-invoice-47111', sequence: 1 } },
    { data: { decision_id: 'dec_adjust-invoice-47119', sequence: 1 } },
  ])
})

it('remembers over a restart what it was told', async () => {
  const world = aWorld()
  {
    await using _outcomes = await told(world, 1)
    await world.pass(30)
  }
  await using _again = world.open()
  await world.pass(29)
  expect(world.findings).toEqual([])
  await world.pass(5)
  expect(world.findings).toHaveLength(1)
})

it('accuses no one while the bus is away, or not read as far as a relay may stand', async () => {
  const world = aWorld()
  await using _outcomes = await told(world, 1)
  world.bus.answers = false
  await world.pass(120)
  expect(world.findings).toEqual([])
  Object.assign(world.bus, { answers: true, end: 5 })
  await world.pass(120)
  expect(world.findings).toEqual([])
  world.relay(1)
  world.bus.consumed = { 'decisions.v1': { 0: 4 } }
  await world.pass(5)
  expect(world.findings).toEqual([])
  await expect.poll(() => readdirSync(dir)).toEqual([])
})

it('accuses no one while a relay may be on its way into the index', async () => {
  const world = aWorld()
  await using _outcomes = await told(world, 1)
  world.bus.isFindable = false
  await world.pass(70)
  expect(world.findings).toEqual([])
  world.relay(1)
  world.bus.isFindable = true
  await world.pass(5)
  expect(world.findings).toEqual([])
  await expect.poll(() => readdirSync(dir)).toEqual([])
})

it('takes nothing that a registered point has not signed for this installation (V12)', async () => {
  await using outcomes = aWorld().open()
  const refused = (jws: string) => expect(tell(outcomes, jws)).rejects
  await refused(outcome(1, generateKey('outcome'))).toMatchObject({ code: 'key_unknown' })
  await refused(outcome(1, key, { enforcement_point: 'unknown' })).toMatchObject({ code: 'key_unknown' })
  await refused(outcome(1, key, { installation: 'ins_another00000000000000' })).toMatchObject({
    code: 'token_audience_wrong',
  })
  await refused('a.b.c').toMatchObject({ code: 'key_unknown' })
  await expect.poll(() => readdirSync(dir)).toEqual([])
})

it('has it on disk when it says so, also to who tells it again meanwhile', async () => {
  await using outcomes = aWorld().open()
  const first = tell(outcomes, signed(1))
  await Promise.resolve().then(() => undefined)
  await tell(outcomes, signed(1))
  expect(readdirSync(dir).filter((name) => !name.startsWith('.'))).toHaveLength(1)
  await first
})

it('keeps room for other enforcement points from one that tells too much', async () => {
  await using outcomes = aWorld().open({ mostOfOnePoint: 3 })
  const list = [1, 2, 3, 4, 5].map((n) => outcome(n))
  const queue_full = expect.objectContaining({ code: 'queue_full' })
  expect(await outcomes.tell(list)).toEqual([undefined, undefined, undefined, queue_full, queue_full])
  await expect(tell(outcomes, outcome(6))).rejects.toEqual(queue_full)
})

it('accepts that an outcome waits, however long, and accuses its decision point a minute after it was answered (V15)', async () => {
  const world = aWorld()
  {
    await using outcomes = world.open()
    await tell(outcomes, signed(1), false)
    await tell(outcomes, signed(2), false)
    await world.jump(300)
    expect(world.findings).toEqual([])
    await tell(outcomes, signed(1))
    await tell(outcomes, signed(1), false)
    await world.pass(59)
    expect(world.findings).toEqual([])
  }
  // The outcomes that were sent outlive the process.
  await using _again = world.open()
  await world.pass(5)
  expect(world.findings).toMatchObject([{ type: 'outcome.unrelayed', data: { sequence: 1 } }])
  world.relay(2)
  await world.pass(2)
  await expect.poll(() => readdirSync(dir)).toEqual([])
})

it('lets go of an outcome that no decision point takes for an hour, and says only that', async () => {
  const world = aWorld()
  await using outcomes = world.open()
  await tell(outcomes, signed(1), false)
  await world.jump(3590)
  expect(readdirSync(dir)).toHaveLength(1)
  await world.jump(20)
  expect([readdirSync(dir), world.findings]).toEqual([[], []])
})

it('keeps a list in one file, and takes each of it by itself: only strangers are refused whole', async () => {
  const world = aWorld()
  await using outcomes = world.open()
  const another = outcome(3, generateKey('outcome'))
  expect(await outcomes.tell([signed(1), another, signed(2), signed(1)], { answered: true })).toMatchObject([
    undefined,
    { code: 'key_unknown' },
    undefined,
    undefined,
  ])
  expect(readdirSync(dir)).toHaveLength(1)
  const strangers = Array.from({ length: 20 }, () => another)
  for (const list of [strangers, [signed(1), ...strangers], [another]])
    await expect(outcomes.tell(list)).rejects.toMatchObject({ code: 'key_unknown' })
  world.relay(1)
  await world.pass(2)
  expect(readdirSync(dir)).toHaveLength(1)
  world.relay(2)
  await world.pass(2)
  await expect.poll(() => readdirSync(dir)).toEqual([])
  expect(world.findings).toEqual([])
})

it('reads the file of a version that knew no lists: it waits, and accuses no one', async () => {
  const world = aWorld()
  writeFileSync(join(dir, `${outcomeHash(signed(1))}.json`), JSON.stringify({ told_at: 0, outcome: signed(1) }))
  await using _outcomes = world.open()
  await world.pass(65)
  expect(world.findings).toEqual([])
  world.relay(1)
  await world.pass(2)
  await expect.poll(() => readdirSync(dir)).toEqual([])
})
