import { hash } from 'node:crypto'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { seededRandom, systemFs, testClock } from '@bailiwick/kit'
import { addSignatures, openCheckpoint, parseCheckpoint, parseNote, SignerKey, signNote } from '@bailiwick/tlog'
import { expect, it } from 'vitest'
import { aLog, aWitness, aWitnessFolder, type SomeLog, witnessKey } from './witness.fixture.ts'

const log = aLog()
/** The same key and the same first 200 entries, then another history. */
const fork = aLog({ word: 'other', differsFrom: 200 })
const stranger = aLog({ name: 'stranger.example/of-another-name' })

function cosignersOf(note: string, of: SomeLog = log) {
  const opened = openCheckpoint(note, { log: of.key.verifier, witnesses: [witnessKey.verifier] })
  return opened.ok ? opened.witnesses : opened.reason
}

it('cosigns a log as it grows, once more of the same size too, and gives nothing but its own lines', async () => {
  using folder = aWitnessFolder()
  await using witness = await aWitness(folder.dir, [log])
  let from = 0
  for (const to of [0, 1, 1, 255, 256, 257, 600, 600]) {
    const answer = await witness.add(log.submission(from, to))
    expect(answer).toMatchObject({ status: 200, type: 'text/plain; charset=utf-8' })
    expect(answer.text).toMatch(/^— witness\.example\/w [A-Za-z0-9+/]+={0,2}\n$/)
    expect(cosignersOf(log.checkpoint(to) + answer.text)).toEqual([
      { key: witnessKey.verifier, timestamp: Math.floor(witness.clock.now() / 1000) },
    ])
    from = to
  }
})

it('signs extension lines along, and keeps logs apart', async () => {
  using folder = aWitnessFolder()
  await using witness = await aWitness(folder.dir, [log, stranger])
  const checkpoint = log.checkpoint(3, ['some extension'])
  const answer = await witness.add(log.submission(0, 3, { checkpoint }))
  expect(cosignersOf(checkpoint + answer.text)).toHaveLength(1)
  expect((await witness.add(stranger.submission(0, 5))).status).toBe(200)
  expect((await witness.add(log.submission(3, 4))).status).toBe(200)
})

const header = (of: SomeLog, size: number) => of.checkpoint(size).split('\n').slice(0, 3).join('\n')
const otherKey = new SignerKey(log.name, seededRandom(5)(32), 1)
const textOf = (note: string) => parseNote(note)?.text ?? ''
const broken = (note: string) => note.replace(/(— \S+ .{30})(.)/, (_, start, c) => start + (c === 'A' ? 'B' : 'A'))

/** Each body is sent to a witness that has cosigned the log's tree of 300 leaves. */
it.each<[what: string, status: number, body: Uint8Array<ArrayBuffer> | string]>([
  ['an empty body', 400, ''],
  ['no submission', 400, 'hello'],
  ['a checkpoint that no one signed', 400, `old 300\n\n${header(log, 400)}\n\n`],
  ['a signature line without its newline', 400, log.submission(300, 400).subarray(0, -1)],
  ['a malformed signature line beside a good one', 400, `${log.submission(300, 400)}— x y\n`],
  ['a size with a leading zero', 400, log.submission(300, 400).toString().replace('\n400\n', '\n0400\n')],
  ['a signed text that is no checkpoint', 400, `old 300\n\n${signNote(`${log.name}\nmany\n`, log.key)}`],
  [
    '64 hashes',
    400,
    log
      .submission(300, 400)
      .toString()
      .replace('\n', `\n${`${'A'.repeat(43)}=\n`.repeat(64)}`),
  ],
  ['a log that is not listed', 404, stranger.submission(0, 10)],
  ['a listed key under another origin', 404, `old 0\n\n${signNote(textOf(stranger.checkpoint(1)), log.key)}`],
  ['a key that is not the log’s, under its name', 403, `old 300\n\n${signNote(textOf(log.checkpoint(400)), otherKey)}`],
  ['a signature over another text', 403, log.submission(300, 400).toString().replace('\n400\n', '\n401\n')],
  [
    'a signature by the log that does not hold, beside one that does',
    403,
    log.submission(300, 400, {
      checkpoint: addSignatures(log.checkpoint(400), ...(parseNote(broken(log.checkpoint(400)))?.signatures ?? [])),
    }),
  ],
  ['an old size beyond the checkpoint', 400, log.submission(301, 300)],
  ['an old size beyond both', 400, log.submission(500, 400)],
  ['an old size that is too small', 409, log.submission(299, 400)],
  ['an old size that is too large', 409, log.submission(301, 400)],
  ['no old size, as who knows nothing asks', 409, log.submission(0, 400)],
  ['a rollback', 409, log.submission(200, 250)],
  ['a fork as from the start', 409, fork.submission(0, 400)],
  ['a fork', 422, fork.submission(300, 400)],
  ['a fork with the proof of the true log', 422, fork.submission(300, 400, { proof: log.proof(300, 400) })],
  ['the same size with another root', 422, fork.submission(300, 300)],
  ['a proof that is too short', 422, log.submission(300, 400, { proof: log.proof(300, 400).slice(0, -1) })],
  ['a proof that is too long', 422, log.submission(300, 400, { proof: [...log.proof(300, 400), new Uint8Array(32)] })],
  ['a proof between equal sizes', 422, log.submission(300, 300, { proof: [new Uint8Array(32)] })],
  ['no proof', 422, log.submission(300, 400, { proof: [] })],
  ['a body beyond every bound', 413, `${log.submission(300, 400)}${'x'.repeat(200_000)}`],
])('answers %s with %i, and stays as it was', async (_, status, body) => {
  using folder = aWitnessFolder()
  await using witness = await aWitness(folder.dir, [log])
  expect((await witness.add(log.submission(0, 300))).status).toBe(200)
  const before = folder.state()
  const answer = await witness.add(body)
  expect(answer.status).toBe(status)
  // A client compares the type exactly, and reads the body as a number and a newline.
  if (status === 409) expect(answer).toEqual({ status, type: 'text/x.tlog.size', text: '300\n' })
  expect(folder.state()).toBe(before)
  expect((await witness.add(log.submission(300, 400))).status).toBe(200)
})

it('takes what others signed along, and neither records nor repeats it', async () => {
  using folder = aWitnessFolder()
  await using witness = await aWitness(folder.dir, [log])
  const others = Array.from({ length: 15 }, (_, n) => new SignerKey(`other.example/${n}`, seededRandom(n)(32), 1))
  const checkpoint = addSignatures(
    log.checkpoint(300),
    ...others.flatMap((key) => parseNote(signNote(textOf(log.checkpoint(300)), key))?.signatures ?? []),
  )
  const answer = await witness.add(log.submission(0, 300, { checkpoint }))
  expect(answer.status).toBe(200)
  expect(answer.text.split('\n')).toHaveLength(2)
  expect(folder.state()).not.toContain('other.example')
})

it('cosigns an empty tree under its one root only', async () => {
  using folder = aWitnessFolder()
  await using witness = await aWitness(folder.dir, [log])
  const text = textOf(log.checkpoint(0)).replace(/\n0\n.*\n/, `\n0\n${'A'.repeat(43)}=\n`)
  expect((await witness.add(`old 0\n\n${signNote(text, log.key)}`)).status).toBe(422)
  const first = log.submission(0, 3, { proof: [new Uint8Array(32)] })
  expect((await witness.add(first)).status).toBe(422)
})

it.each([
  {},
  { 'content-type': '' },
  { 'content-type': 'application/json' },
  { 'content-type': 'text/plain' },
  { 'content-type': 'application/x-www-form-urlencoded' },
  { 'content-type': 'application/octet-stream' },
])('takes a submission of any content type: %j', async (headers) => {
  using folder = aWitnessFolder()
  await using witness = await aWitness(folder.dir, [log])
  expect((await witness.add(Uint8Array.from(log.submission(0, 300)), headers)).status).toBe(200)
})

it('gives one of many at once its cosignature, and tells the others what it cosigned (V14)', async () => {
  using folder = aWitnessFolder()
  await using witness = await aWitness(folder.dir, [log])
  await witness.add(log.submission(0, 100))
  const asked = [...Array(10).keys()].flatMap((n) => [log.submission(100, 300 + n), fork.submission(100, 300 + n)])
  const answers = await Promise.all(asked.map((body) => witness.add(body)))
  const won = answers.filter(({ status }) => status === 200)
  expect(won).toHaveLength(1)
  const size = 300 + Math.floor(answers.findIndex(({ status }) => status === 200) / 2)
  expect(answers.filter(({ status, text }) => status === 409 && text === `${size}\n`)).toHaveLength(19)
})

it('never cosigns two roots of one size, nor a smaller tree than before, for any submission (V14)', async () => {
  using folder = aWitnessFolder()
  const random = seededRandom(Number(process.env.BAILIWICK_SEED ?? 8))
  const below = (n: number) => Buffer.from(random(4)).readUInt32BE() % n
  const roots = new Map<number, string>()
  let largest = 0
  for (let start = 0; start < 3; start++) {
    await using witness = await aWitness(folder.dir, [log])
    for (let round = 0; round < 40; round++) {
      const asked = Array.from({ length: 1 + below(3) }, () => {
        const of = below(3) === 0 ? fork : log
        const to = Math.min(700, Math.max(0, largest - 10 + below(30)))
        const from = below(4) === 0 ? below(to + 1) : Math.min(largest, to)
        return { of, to, body: of.submission(from, to) }
      })
      const answers = await Promise.all(asked.map(({ body }) => witness.add(body)))
      for (const [n, { status }] of answers.entries()) {
        const { of, to } = asked[n] as (typeof asked)[number]
        if (status !== 200) continue
        const root = header(of, to)
        expect(roots.get(to) ?? root).toBe(root)
        roots.set(to, root)
      }
      const sizes = asked.filter((_, n) => answers[n]?.status === 200).map(({ to }) => to)
      expect(Math.min(largest, ...sizes)).toBe(largest)
      largest = Math.max(largest, ...sizes)
    }
  }
  expect(largest).toBeGreaterThan(50)
})

it('makes no larger tree the earlier statement when its clock is set back', async () => {
  using folder = aWitnessFolder()
  const signers: unknown[] = []
  for (const [from, to, ms] of [
    [0, 1, 5_000_000],
    [1, 2, 3_000_000],
    [2, 3, 6_000_000],
  ] as const) {
    await using witness = await aWitness(folder.dir, [log], { clock: testClock(ms) })
    const { text } = await witness.add(log.submission(from, to))
    signers.push(...cosignersOf(log.checkpoint(to) + text))
  }
  expect(signers).toMatchObject([{ timestamp: 5000 }, { timestamp: 5000 }, { timestamp: 6000 }])
})

it('cosigns nothing that it could not write, and goes on once it can (V14)', async () => {
  using folder = aWitnessFolder()
  let full = true
  const fs = {
    ...systemFs,
    open: (path: string, flags: string, mode?: number) =>
      full && path.endsWith('.tmp')
        ? Promise.reject(Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' }))
        : systemFs.open(path, flags, mode),
  }
  await using witness = await aWitness(folder.dir, [log], { fs })
  const answer = await witness.add(log.submission(0, 300))
  expect(answer.status).toBeGreaterThanOrEqual(500)
  expect(answer.text).not.toContain('—')
  full = false
  expect((await witness.add(fork.submission(0, 400))).status).toBe(200)
  expect(witness.fatal).toEqual([])
})

it('stops when it cannot know whether it wrote, and goes by what is there afterwards (V14)', async () => {
  using folder = aWitnessFolder()
  const fs = {
    ...systemFs,
    open: async (path: string, flags: string, mode?: number) => {
      const handle = await systemFs.open(path, flags, mode)
      if (path !== folder.dir) return handle
      const sync = () => Promise.reject(Object.assign(new Error('EIO'), { code: 'EIO' }))
      return { write: handle.write.bind(handle), sync, datasync: sync, close: () => handle.close() }
    },
  }
  {
    await using witness = await aWitness(folder.dir, [log], { fs })
    expect((await witness.add(log.submission(0, 300))).status).toBe(503)
    expect(witness.fatal).toMatchObject([{ code: 'outcome_unknown' }])
  }
  await using witness = await aWitness(folder.dir, [log])
  expect(await witness.add(fork.submission(0, 300))).toMatchObject({ status: 409, text: '300\n' })
  expect((await witness.add(log.submission(300, 300))).status).toBe(200)
})

it('starts again where it was', async () => {
  using folder = aWitnessFolder()
  for (const [from, to] of [
    [0, 300],
    [300, 301],
  ] as const) {
    await using witness = await aWitness(folder.dir, [log])
    expect((await witness.add(log.submission(from, to))).status).toBe(200)
  }
  await using witness = await aWitness(folder.dir, [log])
  expect(await witness.add(fork.submission(0, 301))).toMatchObject({ status: 409, text: '301\n' })
})

it.each<[what: string, change: (state: string, path: string) => void]>([
  ['cut short', (state, path) => writeFileSync(path, state.slice(0, -20))],
  ['missing', (_, path) => rmSync(path)],
  ['empty', (_, path) => writeFileSync(path, '')],
  [
    'of another witness',
    (state, path) => writeFileSync(path, state.replaceAll('witness.example/w', 'witness.example/v')),
  ],
  ['rolled back by hand', (state, path) => writeFileSync(path, state.replace('\\n300\\n', '\\n200\\n'))],
  [
    'with a checkpoint that it did not cosign',
    (state, path) => {
      const parsed = JSON.parse(state)
      writeFileSync(path, JSON.stringify({ ...parsed, checkpoints: [log.checkpoint(200)] }))
    },
  ],
  [
    'with two checkpoints of one log',
    (state, path) => {
      const parsed = JSON.parse(state)
      writeFileSync(path, JSON.stringify({ ...parsed, checkpoints: [...parsed.checkpoints, ...parsed.checkpoints] }))
    },
  ],
])('does not start with a state that is %s (V14)', async (_, change) => {
  using folder = aWitnessFolder()
  {
    await using witness = await aWitness(folder.dir, [log])
    await witness.add(log.submission(0, 300))
  }
  change(folder.state(), folder.stateFile)
  await expect(aWitness(folder.dir, [log])).rejects.toMatchObject({ code: 'witness_state_invalid' })
})

it('lets one process at a time be the witness', async () => {
  using folder = aWitnessFolder()
  {
    await using _witness = await aWitness(folder.dir, [log])
    await expect(aWitness(folder.dir, [log])).rejects.toMatchObject({ code: 'witness_locked' })
  }
  await using _again = await aWitness(folder.dir, [log])
})

it('shows monitors what it cosigned last, and writes down what a log forked', async () => {
  using folder = aWitnessFolder()
  await using witness = await aWitness(folder.dir, [log])
  const address = `${witness.url}/${hash('sha256', log.name, 'hex')}/checkpoint`
  expect((await fetch(address)).status).toBe(404)
  await witness.add(log.submission(0, 300))
  await witness.add(fork.submission(300, 400))
  const note = await (await fetch(address)).text()
  expect(cosignersOf(note)).toHaveLength(1)
  expect(parseCheckpoint(textOf(note))?.size).toBe(300)
  expect(witness.log()).toContain('A CHECKPOINT THAT IS NOT PROVED TO EXTEND')
  expect(witness.log()).toContain(JSON.stringify(fork.checkpoint(400)).slice(1, 60))
  expect(readFileSync(folder.stateFile, 'utf8')).not.toContain('PRIVATE')
})
