import { execFileSync } from 'node:child_process'
import {
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DecodedEvent, TopicName } from '@bailiwick/contracts'
import type { Trust } from '@bailiwick/credentials'
import { type DurableFs, systemFs } from '@bailiwick/kit'
import type { Row } from '@bailiwick/projection'
import { anEvent, at, idOf } from '@bailiwick/projection/events-fixture'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Installation, keyDraft, keys, revocation, signed, trust } from '../installation.fixture.ts'
import type { Projection } from '../projection.ts'
import { type Cut, type Owner, readOwnSnapshot, SnapshotKeeper, type SnapshotRefusal } from './snapshots.ts'

const follows: readonly TopicName[] = ['grants.v1', 'revocations.v1', 'decisions.v1']
const owner: Owner = { service: 'policy-decision', trust }
const key = Buffer.alloc(32, 7)
const monotonic = () => performance.now()
const lookbackMs = 9 * 3600 * 1000

let folder = ''
let path = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'snapshots-'))
  path = join(folder, 'of', 'policy-decision')
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/**
 * A state without the moment at which it was cut, to the last byte. Sorted, with each ALLOW complete in its own line: partitions have no
 * order among each other, so two readers may know the same of them in another order.
 */
function textOf({ since, marks, counted, rows }: Cut): string {
  let root: unknown
  const commons: Row[] = []
  const lines: string[] = []
  for (const row of rows) {
    if (row[0] === 'common') commons.push(row)
    else if (row[0] === 'allow') lines.push(JSON.stringify([root, commons[row[1] as number], ...row.slice(2)]))
    else lines.push(JSON.stringify(row))
    if (row[0] === 'tree') root = row[1]
  }
  return [JSON.stringify({ since, marks, counted }), ...lines.sort()].join('\n')
}
const cutOf = (projection: Projection): Cut => {
  const cut = projection.cut()
  if (cut === undefined) throw new Error('an event is being folded')
  return cut
}
async function keep(cut: Cut, more: Partial<ConstructorParameters<typeof SnapshotKeeper>[0]> = {}): Promise<unknown[]> {
  const errors: unknown[] = []
  const onError = (error: unknown) => void errors.push(error)
  const keeper = new SnapshotKeeper({
    path,
    key,
    owner,
    monotonic,
    marks: () => cut.marks,
    cut: () => cut,
    onError,
    ...more,
  })
  await keeper[Symbol.asyncDispose]()
  return errors
}
const read = (installation: Installation, more: { owner?: Owner; now?: number; key?: Uint8Array } = {}) =>
  readOwnSnapshot(
    { path, key: more.key ?? key },
    { owner: more.owner ?? owner, bus: installation.bus, now: more.now ?? installation.time.now(), lookbackMs },
  )

/** The installation's services, and events of theirs in any number. */
async function begun(): Promise<{ installation: Installation; write: (count: number, kind: number) => Promise<void> }> {
  const installation = await Installation.open()
  const writer = async () => {
    const { projection } = await installation.reader(['revocations.v1'])
    return { bus: installation.bus, projection, issuer: installation.producer(projection) }
  }
  let by = await writer()
  await by.issuer.publish('registry.v1', [keyDraft('issuer'), keyDraft('approval'), keyDraft('policy-decision')])
  let n = 0
  const versions = new Map<string, number>()
  const say = async (topic: TopicName, event: DecodedEvent, service: 'issuer' | 'policy-decision') =>
    await installation.bus.publish(topic, [signed({ ...event, sequence: String(n).padStart(16, '0') }, keys[service])])
  const write = async (count: number, kind: number) => {
    if (by.bus !== installation.bus) by = await writer()
    const { issuer, projection } = by
    for (let done = 0; done < count; done++) {
      n++
      const root = idOf('grt', (n * 7 + kind) % 5)
      const version = (versions.get(root) ?? 0) + 1
      const told = { id: idOf('evt', `w${n}`), time: at(0), source: '/policy-decision/w', partitionkey: root }
      if (kind % 4 === 0)
        await issuer.publish('revocations.v1', [revocation(projection.ledger.revocations.sequence + 1, `grt_${n}`)])
      else if (kind % 4 === 1)
        await say(
          'decisions.v1',
          anEvent('decisions.v1', 'decision.denied', { ...told, subject: root }),
          'policy-decision',
        )
      else {
        versions.set(root, version)
        const data = {
          decision_id: idOf('dec', n),
          call_id: `call-${String(n).padStart(16, '0')}`,
          proof_id: `${String(n).padStart(42, 'p')}A`,
        }
        const event = anEvent('decisions.v1', 'decision.allowed', { ...told, subject: data.decision_id, version, data })
        const { after: _, ...rest } = event.data as { after?: string }
        await say('decisions.v1', { ...event, data: rest } as DecodedEvent, 'policy-decision')
      }
    }
  }
  return { installation, write }
}

/** A reader that knows what is there now. */
async function all(installation: Installation, from?: Awaited<ReturnType<typeof read>>): Promise<Projection> {
  const { projection } = await installation.reader(follows, {
    from: typeof from === 'object' ? from : undefined,
    onMalformed: (error) => {
      throw error
    },
  })
  await projection.readToEnds(follows, 5000)
  return projection
}

describe('a start from a snapshot', () => {
  it('knows what a start that reads everything knows, to the last byte, for any history and any cut (V7)', async () => {
    let began = 0
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.integer({ min: 1, max: 4 }), fc.nat(7)), { minLength: 1, maxLength: 8 }),
        fc.array(fc.tuple(fc.integer({ min: 1, max: 4 }), fc.nat(7)), { maxLength: 8 }),
        async (early, late) => {
          rmSync(path, { force: true })
          const { installation, write } = await begun()
          await using _ = installation
          for (const each of early) await write(...each)
          const first = await all(installation)
          expect(await keep(cutOf(first))).toEqual([])
          for (const each of late) await write(...each)
          const snapshot = await read(installation)
          if (typeof snapshot === 'string') throw new Error(snapshot)
          const restored = await all(installation, snapshot)
          const folded = await all(installation)
          expect(textOf(cutOf(restored))).toBe(textOf(cutOf(folded)))
          await first.readToEnds(follows, 5000)
          expect(textOf(cutOf(first))).toBe(textOf(cutOf(folded)))
          began += restored.ledger.decisions.trees.size
        },
      ),
      { numRuns: 15 },
    )
    expect(began).toBeGreaterThan(5)
  })

  it('reads only what came since, from the bus as it was stopped and started', async () => {
    const { installation, write } = await begun()
    await using _ = installation
    await write(20, 2)
    await keep(cutOf(await all(installation)))
    await installation.stop()
    await installation.start()
    const { bus } = installation
    const delivered: string[] = []
    const watched = {
      publish: bus.publish.bind(bus),
      consume: bus.consume.bind(bus),
      ends: bus.ends.bind(bus),
      [Symbol.asyncDispose]: () => bus[Symbol.asyncDispose](),
      follow: ((topics, since, handler) =>
        bus.follow(topics, since, async (batch) => {
          for (const { topic, offset } of batch) if (topic === 'decisions.v1') delivered.push(`${topic} ${offset}`)
          await handler(batch)
        })) as typeof bus.follow,
    }
    await installation.bus.publish('decisions.v1', [
      signed(
        anEvent('decisions.v1', 'decision.denied', {
          id: idOf('evt', 'new'),
          source: '/policy-decision/w',
          time: at(0),
        }),
        keys['policy-decision'],
      ),
    ])
    const snapshot = await read(installation)
    const { projection } = await installation.reader(follows, { bus: watched, from: snapshot as never })
    expect(delivered).toHaveLength(1)
    expect([...projection.ledger.decisions.trees.values()].reduce((sum, { allows }) => sum + allows.size, 0)).toBe(20)
  })

  it('counts an event that comes again as the same event, though it came before the snapshot (V2)', async () => {
    const { installation, write } = await begun()
    await using _ = installation
    await write(1, 1)
    const event = anEvent('decisions.v1', 'decision.denied', {
      about: idOf('grt', 'again'),
      id: idOf('evt', 'again'),
      source: '/policy-decision/w',
      time: at(0),
      data: { reason: 'policy_denied' } as never,
    })
    const message = signed(event, keys['policy-decision'])
    await installation.bus.publish('decisions.v1', [message])
    const first = await all(installation)
    const { of } = { of: () => first.ledger.decisions.denials.of(idOf('grt', 'again')) }
    expect(of()).toBe(1)
    await keep(cutOf(first))
    const restored = await all(installation, await read(installation))
    await installation.bus.publish('decisions.v1', [message])
    await restored.readToEnds(follows, 5000)
    expect(restored.ledger.decisions.denials.of(idOf('grt', 'again'))).toBe(1)
  })
})

describe('a snapshot that is not this state’s (V7, V12)', () => {
  async function kept() {
    const world = await begun()
    await world.write(6, 2)
    await world.write(2, 0)
    await keep(cutOf(await all(world.installation)))
    return world
  }

  it('is refused at whichever byte it was cut off or changed', async () => {
    const { installation } = await kept()
    await using _ = installation
    const whole = readFileSync(path)
    const lines = whole.toString('latin1').split('\n')
    // Every byte of the last line, and one of each kind before it: in the header, at each end of a line, in a row.
    const ends = lines.slice(0, -1).map((_, n) => lines.slice(0, n + 1).join('\n').length)
    const at = [0, 1, 40, ...ends, ...ends.map((end) => end + 1), ...ends.map((end) => end - 7)]
    for (let n = whole.length - 46; n < whole.length; n++) at.push(n)
    for (const n of at.filter((each) => each >= 0 && each < whole.length)) {
      writeFileSync(path, whole.subarray(0, n))
      expect(await read(installation)).toMatch(/^(torn|forged)$/)
      const changed = Buffer.from(whole)
      changed[n] = (changed[n] ?? 0) ^ 1
      writeFileSync(path, changed)
      expect(await read(installation)).toMatch(/^(torn|forged)$/)
    }
    writeFileSync(path, Buffer.concat([whole, Buffer.from('[]\n')]))
    expect(await read(installation)).toMatch(/^(torn|forged)$/)
    writeFileSync(path, whole)
    expect(await read(installation)).toBeTypeOf('object')
  })

  it.each<[string, SnapshotRefusal, (world: Installation) => Parameters<typeof read>[1]]>([
    ['another key made', 'forged', () => ({ key: Buffer.alloc(32, 8) })],
    ['another service made', 'other_owner', () => ({ owner: { ...owner, service: 'approval' } })],
    [
      'another installation made',
      'other_owner',
      () => ({ owner: { ...owner, trust: { ...trust, installation: 'ins_1' } as Trust } }),
    ],
    ['is older than a start reads', 'too_old', ({ time }) => ({ now: time.now() + lookbackMs })],
    ['is of the future', 'too_old', ({ time }) => ({ now: time.now() - 120_000 })],
  ])('one that %s is refused: %s', async (_what, why, how) => {
    const { installation } = await kept()
    await using _ = installation
    expect(await read(installation, how(installation))).toBe(why)
  })

  it('one of other code is refused, though the same key made it', async () => {
    const { installation } = await kept()
    await using _ = installation
    const { createHmac } = await import('node:crypto')
    const [header = '', ...rows] = readFileSync(path, 'utf8').split('\n').slice(0, -2)
    const changed = JSON.stringify({ ...JSON.parse(header), code: 'other' })
    const text = `${[changed, ...rows].join('\n')}\n`
    writeFileSync(path, `${text}${createHmac('sha256', key).update(text).digest('base64url')}\n`)
    expect(await read(installation)).toBe('other_code')
  })

  it.each<[string, SnapshotRefusal, () => void]>([
    ['nothing', 'missing', () => rmSync(path)],
    [
      'a link to the file',
      'unreadable',
      () => {
        renameSync(path, `${path}.moved`)
        symlinkSync(`${path}.moved`, path)
      },
    ],
    [
      'a folder',
      'unreadable',
      () => {
        rmSync(path)
        mkdirSync(path)
      },
    ],
    [
      'a pipe without a writer',
      'unreadable',
      () => {
        rmSync(path)
        execFileSync('mkfifo', [path])
      },
    ],
    ['a file of 0 bytes', 'torn', () => writeFileSync(path, '')],
  ])('%s in its place is refused: %s', async (_what, why, put) => {
    const { installation } = await kept()
    await using _ = installation
    put()
    expect(await read(installation)).toBe(why)
  })

  it.skipIf(process.geteuid?.() !== 0)('one that belongs to another user is refused before it is read', async () => {
    const { installation } = await kept()
    await using _ = installation
    chownSync(path, 12_345, 12_345)
    expect(await read(installation)).toBe('unreadable')
  })

  it('one that is ahead of its bus is refused, and one of another history is too (V7)', async () => {
    const { installation, write } = await begun()
    await using _ = installation
    await write(3, 2)
    await installation.stop()
    // The files that a backup holds.
    const backup = mkdtempSync(join(tmpdir(), 'backup-'))
    execFileSync('cp', ['-r', `${installation.dir}/.`, backup])
    await installation.start()
    await write(3, 2)
    await write(2, 0)
    await keep(cutOf(await all(installation)))
    await installation.stop()
    rmSync(installation.dir, { recursive: true })
    renameSync(backup, installation.dir)
    await installation.start()
    expect(await read(installation)).toBe('ahead_of_bus')
    // The restored bus grows past the snapshot, with other events at the same places.
    const { projection } = await installation.reader(['revocations.v1'])
    const issuer = installation.producer(projection)
    for (let n = 1; n <= 4; n++) await issuer.publish('revocations.v1', [revocation(n, `grt_other_${n}`)])
    const other = (n: number) =>
      signed(
        anEvent('decisions.v1', 'decision.denied', {
          id: idOf('evt', `other-${n}`),
          about: idOf('grt', n),
          source: '/policy-decision/w',
          time: at(0),
        }),
        keys['policy-decision'],
      )
    await installation.bus.publish(
      'decisions.v1',
      Array.from({ length: 60 }, (_, n) => other(n)),
    )
    expect(await read(installation)).toBe('other_history')
  })

  it('one whose newest message the bus removed since is refused', async () => {
    const { installation } = await kept()
    await using _ = installation
    const follow: typeof installation.bus.follow = (topics, since, handler) =>
      installation.bus.follow(topics, since, (batch) => handler(batch.filter(({ topic }) => topic !== 'decisions.v1')))
    const bus = { ends: (topic: string) => installation.bus.ends(topic), follow }
    expect(await readOwnSnapshot({ path, key }, { owner, bus, now: installation.time.now(), lookbackMs })).toBe(
      'other_history',
    )
  })

  it('a row that cannot be read means that everything is read', async () => {
    const { installation } = await kept()
    await using _ = installation
    const snapshot = await read(installation)
    if (typeof snapshot === 'string') throw new Error(snapshot)
    const errors: unknown[] = []
    const { projection } = await installation.reader(follows, {
      from: {
        ...snapshot,
        async *rows() {
          yield* snapshot.rows()
          yield ['allow', 'x']
        },
      },
      onMalformed: (error) => errors.push(error),
    })
    expect(errors).toHaveLength(1)
    expect(textOf(cutOf(projection))).toBe(textOf(cutOf(await all(installation))))
  })
})

describe('writing a snapshot', () => {
  /** The real file system, which fails at the step that `breaks` names, and keeps no byte that was not synced. */
  function breaking(breaks: number): { fs: DurableFs; steps: () => number } {
    let n = 0
    const step = async <T>(act: () => Promise<T>): Promise<T> => {
      n++
      if (n >= breaks) throw Object.assign(new Error('the power is cut'), { code: 'EIO' })
      return act()
    }
    const fs: DurableFs = {
      ...systemFs,
      async open(name, flags, mode) {
        const handle = await step(() => systemFs.open(name, flags, mode))
        return {
          write: (bytes, offset, length) => step(() => handle.write(bytes, offset, length)),
          sync: () => step(() => handle.sync()),
          datasync: () => step(() => handle.datasync()),
          close: () => handle.close(),
        }
      },
      rename: (from, to) => step(() => systemFs.rename(from, to)),
      mkdir: (name, options) => step(() => systemFs.mkdir(name, options)),
      // A process that was killed removes nothing.
      unlink: async () => undefined,
    }
    return { fs, steps: () => n }
  }

  it('that ends at any step leaves the old one or the new one, and the next start knows everything (V7)', async () => {
    const { installation, write } = await begun()
    await using _ = installation
    await write(3, 2)
    const first = await all(installation)
    await keep(cutOf(first))
    await write(3, 2)
    await write(2, 0)
    await first.readToEnds(follows, 5000)
    const whole = breaking(Number.POSITIVE_INFINITY)
    await keep(cutOf(first), { fs: whole.fs })
    const steps = whole.steps()
    expect(steps).toBeGreaterThanOrEqual(7)
    const folded = textOf(cutOf(await all(installation)))
    for (let n = 1; n <= steps; n++) {
      expect(await keep(cutOf(first), { fs: breaking(n).fs })).toHaveLength(1)
      const snapshot = await read(installation)
      expect(snapshot).toBeTypeOf('object')
      expect(textOf(cutOf(await all(installation, snapshot)))).toBe(folded)
    }
    rmSync(join(folder, 'of'), { recursive: true })
    for (let n = 1; n <= steps + 1; n++) {
      await keep(cutOf(first), { fs: breaking(n).fs })
      const snapshot = await read(installation)
      if (typeof snapshot === 'string') expect(snapshot).toBe('missing')
      expect(textOf(cutOf(await all(installation, snapshot)))).toBe(folded)
    }
  })

  it('is for its owner alone, and leaves nothing beside it', async () => {
    const { installation, write } = await begun()
    await using _ = installation
    await write(1, 2)
    await keep(cutOf(await all(installation)))
    expect(readdirSync(join(folder, 'of'))).toEqual(['policy-decision'])
  })

  it('happens once a minute if something was read, and at the end', async () => {
    const { installation, write } = await begun()
    await using _ = installation
    await write(1, 2)
    const projection = await all(installation)
    const written: number[] = []
    const keeper = new SnapshotKeeper({
      path,
      key,
      owner,
      monotonic,
      everyMs: 5,
      marks: () => projection.marks(),
      cut: () => projection.cut(),
      onWritten: ({ bytes }) => written.push(bytes),
    })
    await expect.poll(() => written.length).toBe(1)
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(written).toHaveLength(1)
    await write(1, 2)
    await projection.readToEnds(follows, 5000)
    await keeper[Symbol.asyncDispose]()
    expect(written).toHaveLength(2)
  })

  it('writes nothing of a state in which an event could not be folded', async () => {
    const { installation, write } = await begun()
    await using _ = installation
    await write(1, 2)
    const projection = await all(installation)
    projection.ledger.apply = () => Promise.reject(new Error('broken'))
    await write(1, 2)
    await expect(projection.failed).rejects.toThrow('broken')
    expect(projection.cut()).toBeUndefined()
  })
})
