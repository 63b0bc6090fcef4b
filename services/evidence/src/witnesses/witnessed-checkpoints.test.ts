import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { logger, metrics } from '@bailiwick/host'
import { systemClock } from '@bailiwick/kit'
import {
  encodeVkey,
  isQuorumMet,
  openCheckpoint,
  type Policy,
  parseNote,
  SIGNATURE_TYPE,
  SignerKey,
} from '@bailiwick/tlog'
import { expect, it } from 'vitest'
import { LogFolder, logKey } from '../log/log.fixture.ts'
import { Log, type Published } from '../log/log.ts'
import { aWitness, type Misbehaviour, policyOf } from './witness.fixture.ts'
import { witnessedBy } from './witnessed-by.ts'

/** A log in a folder with the witnesses of this policy, as evidence runs it. */
async function aWitnessedLog(folder: LogFolder, policy: Policy) {
  const lines: string[] = []
  const fatal: unknown[] = []
  const seen: Published[] = []
  const storage = await folder.open()
  const witnessed = witnessedBy({
    policy,
    storage,
    key: logKey,
    clock: systemClock,
    logger: logger({ service: 'evidence', level: 'info', destination: { write: (line) => void lines.push(line) } }),
    metrics: metrics({ service: 'evidence', processMetrics: false }),
    onPublished: (published) => seen.push(published),
    onFatal: (error) => fatal.push(error),
  })
  const log = await Log.open(witnessed.storage, logKey, () => systemClock.now())
  witnessed.begin(log.checkpoint)
  const append = (count: number) =>
    log.append(
      Array.from({ length: count }, (_, n) => Buffer.from(`entry ${log.size + n}`)),
      {},
    )
  /** The checkpoint that an outsider finds in the folder, with its cosigners. */
  const published = () => {
    const note = readFileSync(join(folder.log, 'checkpoint'))
    const opened = openCheckpoint(note, { log: logKey.verifier, witnesses: policy.witnesses.map(({ key }) => key) })
    if (!opened.ok) throw new Error(opened.reason)
    const keys = opened.witnesses.map(({ key }) => key)
    return { size: opened.checkpoint.size, by: keys.map(({ name }) => name), isQuorum: isQuorumMet(policy, keys) }
  }
  const until = async (what: () => boolean) => {
    while (!what()) await new Promise((resolve) => setTimeout(resolve, 5))
  }
  return {
    log,
    witnessed,
    append,
    published,
    until,
    seen,
    lines: () => lines.join(''),
    fatal,
    async [Symbol.asyncDispose]() {
      await witnessed[Symbol.asyncDispose]()
      await storage[Symbol.asyncDispose]()
    },
  }
}

it('keeps the partial tiles of the checkpoint that readers see until they see the full one (V14)', async () => {
  using folder = new LogFolder()
  await using witness = await aWitness(1)
  const policy = policyOf(1, witness)
  await witness[Symbol.asyncDispose]() // without a cosigner, readers see a checkpoint only when patience ends
  await using system = await aWitnessedLog(folder, policy)
  const partial = join(folder.log, 'tile/0/000.p/200')
  await system.append(200)
  await system.until(() => system.published().size === 200)
  await system.append(100)
  const kept = existsSync(partial)
  if (system.published().size === 200) expect(kept).toBe(true)
  await system.until(() => system.published().size === 300 && !existsSync(partial))
  expect(await folder.check()).toMatchObject({ ok: true, size: 300 })
})

it('tells two witnesses of one name apart, such as one that moves to its next key', async () => {
  using folder = new LogFolder()
  const [old, next] = [1, 2].map((n) => new SignerKey('witness.example/w', new Uint8Array(32).fill(n), 4)) as [
    SignerKey,
    SignerKey,
  ]
  await using first = await aWitness(1, () => ({ status: 403 }), undefined, old)
  await using second = await aWitness(2, undefined, undefined, next)
  await using system = await aWitnessedLog(folder, policyOf(1, first, second))
  await system.append(3)
  const [refusing, cosigning] = [old, next].map(({ verifier }) => encodeVkey(verifier).split('+').slice(0, 2).join('+'))
  await system.until(() => [refusing, cosigning].every((name) => system.lines().includes(`"witness":"${name}"`)))
  const said = system.lines().split('\n')
  expect(said.find((line) => line.includes(`"${refusing}"`))).toContain('A WITNESS REFUSES THIS LOG')
  expect(said.find((line) => line.includes(`"${cosigning}"`))).toContain('a witness cosigns')
})

it('publishes each checkpoint with the cosignatures of its witnesses, and the log stays whole (V14)', async () => {
  using folder = new LogFolder()
  await using first = await aWitness(1)
  await using second = await aWitness(2)
  await using system = await aWitnessedLog(folder, policyOf(2, first, second))
  for (const count of [1, 2, 300, 700]) {
    await system.append(count)
    const { size } = system.log
    await system.until(() => system.published().size === size && system.published().isQuorum)
    expect(system.published().by).toEqual(['witness.example/1', 'witness.example/2'])
    expect(system.witnessed.witnessed?.size).toBe(size)
  }
  expect(await folder.check()).toMatchObject({ ok: true })
  for (const { bodies } of [first, second])
    for (const body of bodies) {
      expect(body.length).toBeLessThan(10 * 1024)
      // Only the log's own signature: a witness does not get the cosignatures of the others.
      expect(parseNote(body.subarray(body.indexOf('\n\n') + 2))?.signatures).toHaveLength(1)
    }
})

it('learns the size from a witness that says more of its type than it must', async () => {
  using folder = new LogFolder()
  await using witness = await aWitness(1, ({ honest }) =>
    honest.status === 409 ? { ...honest, type: 'Text/X.tlog.size; charset=utf-8' } : undefined,
  )
  for (const size of [3, 5]) {
    await using system = await aWitnessedLog(folder, policyOf(1, witness))
    await system.append(size - system.log.size)
    await system.until(() => system.published().size === size && system.published().isQuorum)
  }
  expect(witness.last().size).toBe(5)
})

const misbehaviours: [what: string, outcome: string, Misbehaviour][] = [
  ['hangs', '', () => 'hang'],
  [
    'answers 409 for ever with the size it was told',
    'REFUSES',
    ({ body }) => ({
      status: 409,
      type: 'text/x.tlog.size',
      body: `${/^old (\d+)/.exec(body.toString())?.[1]}\n`,
    }),
  ],
  [
    'answers 409 for ever with another size',
    'does not answer',
    ({ body }) => ({
      status: 409,
      type: 'text/x.tlog.size',
      body: `${/^old 0\n/.test(body.toString()) ? 1 : 0}\n`,
    }),
  ],
  ['says that it saw more', 'SAW MORE', () => ({ status: 409, type: 'text/x.tlog.size', body: '1000000\n' })],
  [
    'says that it saw more than there are numbers',
    '',
    () => ({ status: 409, type: 'text/x.tlog.size', body: `${'9'.repeat(30)}\n` }),
  ],
  ['says 409 and no size', 'REFUSES', () => ({ status: 409, body: 'no' })],
  ['refuses', 'REFUSES', () => ({ status: 422 })],
  ['fails', 'does not answer', () => ({ status: 500 })],
  ['is overloaded', 'does not answer', () => ({ status: 429 })],
  [
    'gives a cosignature that does not hold',
    'cosignature_invalid',
    ({ honest }) => ({
      ...honest,
      body: honest.body?.replace(/(.)(.{20})\n$/, (_, c, rest) => `${c === 'A' ? 'B' : 'A'}${rest}\n`) ?? '',
    }),
  ],
  [
    'signs under the name of another',
    'cosignature_invalid',
    ({ honest }) => ({ ...honest, body: honest.body?.replace('example/3', 'example/1') ?? '' }),
  ],
  ['gives nothing', 'cosignature_invalid', ({ honest }) => ({ ...honest, body: '' })],
  [
    'gives a note of its own',
    'cosignature_invalid',
    ({ honest }) => ({ ...honest, body: `\nanother\n\n${honest.body}` }),
  ],
  ['never ends', 'does not answer', ({ honest }) => ({ ...honest, body: `${honest.body}${'x'.repeat(100_000)}` })],
]

it.each(misbehaviours)('keeps its quorum with two others when a witness %s', async (_, told, misbehave) => {
  using folder = new LogFolder()
  await using first = await aWitness(1)
  await using second = await aWitness(2)
  await using third = await aWitness(3, misbehave)
  await using system = await aWitnessedLog(folder, policyOf(2, first, second, third))
  for (const count of [3, 300]) {
    await system.append(count)
    const { size } = system.log
    await system.until(() => system.published().size === size && system.published().isQuorum)
  }
  expect(system.published().by).toEqual(['witness.example/1', 'witness.example/2'])
  expect(system.fatal).toEqual([])
  await system.until(() => system.lines().includes(told))
})

it('goes on without its quorum: readers see each checkpoint, and the log waits for no witness', async () => {
  using folder = new LogFolder()
  await using first = await aWitness(1)
  await using second = await aWitness(2, () => 'hang')
  await using system = await aWitnessedLog(folder, policyOf(2, first, second))
  for (let n = 0; n < 20; n++) await system.append(1)
  expect(system.log.size).toBe(20)
  await system.until(() => system.published().size === 20)
  expect(system.published().isQuorum).toBe(false)
  expect(system.witnessed.witnessed).toBeUndefined()
  // The same tree once more. Readers see it already, so it is not waited for.
  await system.log.publish()
  await new Promise((resolve) => setTimeout(resolve, 800))
  await system.append(1)
  await system.until(() => system.published().size === 21)
})

it('never takes readers back to the smaller tree that a late quorum cosigned (V14)', async () => {
  using folder = new LogFolder()
  const released = Promise.withResolvers<undefined>()
  let first = true
  await using late = await aWitness(1, ({ honest: { status } }) => {
    if (status !== 200 || !first) return undefined
    first = false
    return released.promise
  })
  await using system = await aWitnessedLog(folder, policyOf(1, late))
  await system.append(10)
  await system.until(() => !first)
  await system.append(10)
  // Patience is over, so the larger checkpoint is published without its quorum.
  await system.until(() => system.published().size === 20)
  released.resolve(undefined)
  await system.until(() => system.witnessed.witnessed !== undefined)
  await system.until(() => system.published().size === 20 && system.published().isQuorum)
  await system.until(() => system.seen.length === 3)
  const sizes = system.seen.map(({ size }) => size)
  expect(sizes).toEqual(sizes.toSorted((a, b) => a - b))
})

it('never goes back when a witness fails now and then (V14)', async () => {
  using folder = new LogFolder()
  let slow = 0
  await using first = await aWitness(1)
  await using second = await aWitness(2, () => (slow++ % 3 === 0 ? { status: 500 } : undefined))
  await using system = await aWitnessedLog(folder, policyOf(2, first, second))
  for (let n = 0; n < 30; n++) {
    await system.append(1 + (n % 5))
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  await system.until(() => system.published().size === system.log.size)
  const sizes = system.seen.map(({ size }) => size)
  expect(sizes).toEqual(sizes.toSorted((a, b) => a - b))
})

it('learns from a witness that knows more of it than it remembers, after a restart', async () => {
  using folder = new LogFolder()
  await using witness = await aWitness(1)
  const policy = policyOf(1, witness)
  {
    await using system = await aWitnessedLog(folder, policy)
    await system.append(300)
  }
  expect(witness.last().size).toBe(300)
  await using system = await aWitnessedLog(folder, policy)
  expect(system.published()).toEqual({ size: 300, by: ['witness.example/1'], isQuorum: true })
  await system.append(10)
  await system.until(() => system.published().size === 310 && system.published().isQuorum)
})

it('has its last checkpoint cosigned before it stops, and shows it without cosignatures if no witness answers', async () => {
  using folder = new LogFolder()
  await using witness = await aWitness(1)
  await using silent = await aWitness(2, () => 'hang')
  let last: () => object
  {
    await using system = await aWitnessedLog(folder, policyOf(1, witness))
    for (let n = 0; n < 5; n++) await system.append(3)
    last = system.published
  }
  expect(last()).toEqual({ size: 15, by: ['witness.example/1'], isQuorum: true })
  {
    await using system = await aWitnessedLog(folder, policyOf(1, silent))
    await system.append(3)
    last = system.published
  }
  expect(last()).toEqual({ size: 18, by: [], isQuorum: false })
})

it('is not cosigned by a key that only has the name of a witness', async () => {
  using folder = new LogFolder()
  const other = new SignerKey('witness.example/1', new Uint8Array(32).fill(1), SIGNATURE_TYPE.COSIGNATURE)
  await using witness = await aWitness(1)
  await using system = await aWitnessedLog(folder, policyOf(1, { party: { ...witness.party, key: other.verifier } }))
  await system.append(3)
  await system.until(() => system.published().size === 3)
  expect(system.published().by).toEqual([])
})

it('has room for all witnesses when one sends its line as often as a note can hold (V14)', async () => {
  using folder = new LogFolder()
  const often: Misbehaviour = ({ honest }) =>
    honest.status === 200 ? { ...honest, body: (honest.body ?? '').repeat(99) } : undefined
  await using many = await aWitness(1, often)
  await using one = await aWitness(2)
  await using system = await aWitnessedLog(folder, policyOf(2, many, one))
  await system.append(3)
  await system.until(() => system.published().isQuorum)
  expect(parseNote(readFileSync(join(folder.log, 'checkpoint')))?.signatures).toHaveLength(3)
  expect(system.fatal).toEqual([])
})
