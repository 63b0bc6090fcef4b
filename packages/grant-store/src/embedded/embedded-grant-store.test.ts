import { cpSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { open } from 'lmdb'
import { describe, expect, it } from 'vitest'
import { aRoot, aTake, aTree, ENDS_AT, START } from '../contract/fixtures.ts'
import { type GrantStoreUnderTest, grantStoreContract } from '../grant-store.contract.ts'
import { embeddedGrantStore, type GrantStoreEnvironment, openGrantStoreEnvironment } from './index.ts'

const now = () => START

/** A folder that is removed after the test. */
function aFolder(): { dir: string } & Disposable {
  const dir = mkdtempSync(join(tmpdir(), 'bailiwick-grants-'))
  return { dir, [Symbol.dispose]: () => rmSync(dir, { recursive: true, force: true }) }
}

/** Another program's access to the same file, from outside. */
async function outside(dir: string, work: (root: ReturnType<typeof open>) => void): Promise<void> {
  const root = open(join(dir, 'grants.mdb'), { noSync: true, overlappingSync: false, maxDbs: 8 })
  work(root)
  await root.close()
}

const tables = ['meta', 'trees', 'takes', 'proofs', 'counters', 'expiries']

async function underTest(): Promise<GrantStoreUnderTest> {
  const folder = aFolder()
  const copy = aFolder()
  const { dir } = folder
  let environments: GrantStoreEnvironment[] = [openGrantStoreEnvironment({ dir, now })]
  const close = async () => {
    for (const environment of environments) await environment[Symbol.asyncDispose]()
    environments = []
  }
  const start = () => environments.push(openGrantStoreEnvironment({ dir, now }))
  return {
    connect: async () => environments.at(-1)?.connect() ?? Promise.reject(new Error('closed')),
    flush: () =>
      outside(dir, (root) => {
        for (const name of tables) root.openDB({ name }).clearSync()
      }),
    // Opened again next to the old one, whose instances continue. The data that they saw is invalid for them too.
    restart: async () => void start(),
    snapshot: async () => cpSync(dir, copy.dir, { recursive: true }),
    async rollback() {
      await close()
      rmSync(dir, { recursive: true })
      cpSync(copy.dir, dir, { recursive: true })
      start()
    },
    async [Symbol.asyncDispose]() {
      await close()
      folder[Symbol.dispose]()
      copy[Symbol.dispose]()
    },
  }
}

grantStoreContract('embedded', underTest)

describe('the embedded grant store', () => {
  it('keeps proof ids across a restart of the process, so that none of them is new again (V10)', async () => {
    using folder = aFolder()
    {
      await using store = embeddedGrantStore({ ...folder, now })
      await store.adopt()
      await store.remember('jti', START, START + 1_000)
    }
    await using store = embeddedGrantStore({ ...folder, now })
    await store.adopt()
    expect(await store.remember('jti', START, START + 1_000)).toBe(false)
  })

  it('counts a proof once among all that comes in one turn, also if a part of it cannot wait (V10)', async () => {
    await using subject = await underTest()
    const store = await subject.connect()
    await store.adopt()
    await store.refill('grt_1', aTree())
    const remember = () => store.remember('jti', START, START + 1_000)
    const before = [remember(), remember()]
    const taken = store.advance('grt_1', aTake())
    const after = [remember(), new Promise(setImmediate).then(remember)]
    expect(await taken).toEqual({ outcome: 'advanced' })
    expect(await Promise.all([...before, ...after])).toEqual([true, false, false, false])
  })

  it('starts empty on a folder that was emptied, or written before the machine started (V10)', async () => {
    using folder = aFolder()
    for (const spoil of [
      () => rmSync(folder.dir, { recursive: true }),
      () => writeFileSync(join(folder.dir, 'boot_id'), 'another boot'),
      () => rmSync(join(folder.dir, 'boot_id')),
      () => writeFileSync(join(folder.dir, 'grants.mdb'), 'no database'.repeat(1_000)),
    ]) {
      {
        await using store = embeddedGrantStore({ ...folder, now })
        await store.adopt()
        await store.refill('grt_1', aTree())
        expect(await store.remember('jti', START, START + 1_000)).toBe(true)
      }
      spoil()
      await using store = embeddedGrantStore({ ...folder, now })
      expect(await store.epoch()).toBeUndefined()
      await store.adopt()
      expect(await store.get('grt_1')).toBeUndefined()
      expect(await store.remember('jti', START, START + 1_000)).toBe(true)
      rmSync(folder.dir, { recursive: true })
    }
  })

  it('makes each epoch from the source that it was given', async () => {
    using folder = aFolder()
    let made = 0
    await using store = embeddedGrantStore({ ...folder, now, newEpoch: () => `epoch ${++made}` })
    expect([await store.adopt(), await store.adopt()]).toEqual(['epoch 1', 'epoch 1'])
  })

  it('rejects with outcome_unknown once it is closed', async () => {
    using folder = aFolder()
    const store = embeddedGrantStore({ ...folder, now })
    await store.adopt()
    await store[Symbol.asyncDispose]()
    await expect(store.advance('grt_1', aTake())).rejects.toMatchObject({ code: 'outcome_unknown' })
    await expect(store.remember('jti', START, START + 1)).rejects.toMatchObject({ code: 'outcome_unknown' })
    await expect(store.epoch()).rejects.toMatchObject({ code: 'outcome_unknown' })
  })

  it('stays open for the others when one instance is disposed', async () => {
    await using subject = await underTest()
    const [one, other] = [await subject.connect(), await subject.connect()]
    await one.adopt()
    await other.adopt()
    await other.refill('grt_1', aTree())
    await one[Symbol.asyncDispose]()
    expect(await one.get('grt_1')).toBeUndefined()
    expect(await other.get('grt_1')).toEqual(aTree())
  })
})

describe('what expired', () => {
  /** The number of entries in each table. */
  async function sizes(dir: string): Promise<Record<string, number>> {
    const counts: Record<string, number> = {}
    await outside(dir, (root) => {
      for (const name of tables) counts[name] = root.openDB({ name }).getKeysCount()
    })
    return counts
  }

  it('is forgotten a minute later, trees with all their takes, and what lives is not', async () => {
    using folder = aFolder()
    let time = START
    await using environment = openGrantStoreEnvironment({ ...folder, now: () => time })
    const store = environment.connect()
    await store.adopt()
    const [short, long] = [aRoot(), aRoot()]
    await store.refill(short, aTree({ left: { calls: 5_000n }, expiresAt: START + 1_000 }))
    for (let from = 1; from <= 2_500; from++) await store.advance(short, aTake({ from }))
    await store.refill(long, aTree({ expiresAt: START + 1_000 }))
    await store.refill(long, aTree({ version: 2, expiresAt: ENDS_AT }))
    await store.advance(long, aTake({ from: 2 }))
    for (let n = 0; n < 100; n++) {
      await store.remember(`jti${n}`, START, START + 1_000)
      await store.count(`agent${n}`, 1_000, START)
    }
    await store.remember('again', START, START + 1_000)
    await store.remember('again', START + 1_000, ENDS_AT)

    time = START + 1_000 + 60_000
    environment.sweep()
    expect(await store.advance(short, aTake({ from: 2_501, now: START + 1_000 }))).toEqual({ outcome: 'expired' })
    expect(await store.remember('jti0', START, START + 1_000)).toBe(false)

    time += 1
    environment.sweep()
    expect(await sizes(folder.dir)).toEqual({ meta: 1, trees: 1, takes: 1, proofs: 1, counters: 0, expiries: 2 })
    expect(await store.advance(short, aTake({ from: 2_501 }))).toEqual({ outcome: 'absent' })
    expect(await store.get(long)).toMatchObject({ version: 3 })
    expect(await store.remember('again', START + 1_000, ENDS_AT)).toBe(false)
  })

  it('is forgotten by the writes that follow, so that what is kept is bounded under load', async () => {
    using folder = aFolder()
    let time = START
    await using store = embeddedGrantStore({ ...folder, now: () => time })
    await store.adopt()
    let size = 0
    for (let n = 0; n < 20_000; n++) {
      time += 100
      await store.remember(`jti${n}`, time, time + 1_000)
      if (n === 2_000) size = statSync(join(folder.dir, 'grants.mdb')).size
    }
    const { proofs } = await sizes(folder.dir)
    expect(proofs).toBeLessThan(700) // 10 a second for 61 s, and what 16 writes leave
    expect(statSync(join(folder.dir, 'grants.mdb')).size).toBeLessThan(2 * size)
  })
})
