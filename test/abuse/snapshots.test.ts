import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { keyFilePath } from '@bailiwick/credentials'
import { errorCode } from '@bailiwick/errors'
import { logger as makeLogger } from '@bailiwick/host'
import { paths } from '@bailiwick/installation'
import { sampleAuthority } from '@bailiwick/standalone/sample'
import { freePort } from '@bailiwick/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { holding, operatorAt } from './operator.ts'
import { answered, Scene } from './scene.ts'

// A snapshot is state that a start believes. An attacker who writes into its folder must gain nothing: at worst a start reads everything.

const home = mkdtempSync(join(tmpdir(), 'abuse-snapshots-'))
const ports = { port: await freePort(), invoicesPort: await freePort() }
/** An installation with a live grant whose ten adjustments are used up. */
const early = join(home, 'early')
/** The same, after the grant was revoked. */
const later = join(home, 'later')
/** A backup of the first. */
const backup = join(home, 'backup')
const patienceMs = 120_000
let grantId = ''
afterAll(() => rmSync(home, { recursive: true, force: true }))

const services = ['policy-decision', 'approval', 'issuer'] as const
const pathOf = (data: string, service: string = 'policy-decision') => join(paths(data).snapshots, service)
const copy = (from: string, to: string) =>
  cpSync(from, to, { recursive: true, filter: (path) => !path.endsWith('.sock') })

interface Told {
  /** What the start of each service said of its snapshot: `used`, or why not. */
  starts: Record<string, string>
}
/** Hears what a system's log says of snapshots. */
function hearing(): Told & { logger: ReturnType<typeof makeLogger> } {
  const starts: Record<string, string> = {}
  const write = (line: string) => {
    const said = JSON.parse(line) as { snapshot?: string; refused?: string; age_ms?: number; msg: string }
    if (said.snapshot === undefined) return
    starts[said.snapshot] ??= said.refused ?? (said.age_ms === undefined ? said.msg : 'used')
  }
  return { starts, logger: makeLogger({ service: 'test', level: 'info', destination: { write } }) }
}

async function adjust(scene: Pick<Scene, 'agent'>): Promise<string> {
  const properties = { invoice: 'INV-1', amount: '1', currency: 'EUR' }
  try {
    const response = await (scene as Scene).call(scene.agent(), grantId, 'adjust', properties)
    const { code } = (await response.json()) as { code?: string }
    return response.status === 200 ? 'ok' : String(code)
  } catch (error) {
    return errorCode(error) // no credential, once everything is revoked
  }
}

beforeAll(async () => {
  {
    await using scene = await Scene.open({ data: early, ...ports })
    grantId = (await scene.granted(scene.agent())).grantId
    for (let calls = 0; calls < 10; calls++) expect(await adjust(scene)).toBe('ok')
    await scene.invoices.delivered()
  }
  expect((await operatorAt(early)('backup', backup)).code).toBe(0)
  copy(early, later)
  await using scene = await Scene.reopen({ data: later, ...ports })
  expect(await scene.tryCall(scene.agent(), grantId)).toBe('ok')
  expect(await (scene as Scene).revoke('grant', grantId)).toBe(200)
}, patienceMs)

/** Starts on a tampered copy. Says how each service began, and what an honest agent's calls are answered. */
async function started(from: string, tamper: (data: string) => void) {
  const data = mkdtempSync(join(home, 'copy-'))
  copy(from, data)
  tamper(data)
  const { starts, logger } = hearing()
  await using scene = await Scene.reopen({ data, ...ports, logger })
  return { starts, read: await scene.tryCall(scene.agent(), grantId), adjusted: await adjust(scene) }
}

it(
  'an orderly stop leaves the state of each service, and the next start goes on with it (V9)',
  async () => {
    for (const service of services) expect(readFileSync(pathOf(early, service)).length).toBeGreaterThan(1000)
    expect(await started(early, () => undefined)).toEqual({
      starts: { 'policy-decision': 'used', approval: 'used', issuer: 'used' },
      read: 'ok',
      adjusted: 'uses_exhausted',
    })
  },
  patienceMs,
)

it(
  'an older snapshot in the place of the newest brings nothing back: the rest is read (V7)',
  async () => {
    const { starts, read } = await started(later, (data) => {
      for (const service of services) copyFileSync(pathOf(early, service), pathOf(data, service))
    })
    expect(starts).toEqual({ 'policy-decision': 'used', approval: 'used', issuer: 'used' })
    expect(read).toMatch(/revoked|refused/)
  },
  patienceMs,
)

describe('a file that is not the snapshot of this service, of this bus, by this code', () => {
  const changed = (at: (length: number) => number) => (data: string) => {
    const bytes = readFileSync(pathOf(data))
    bytes[at(bytes.length)] = (bytes[at(bytes.length)] ?? 0) ^ 1
    writeFileSync(pathOf(data), bytes)
  }
  const cut = (at: (length: number) => number) => (data: string) => {
    const bytes = readFileSync(pathOf(data))
    writeFileSync(pathOf(data), bytes.subarray(0, at(bytes.length)))
  }
  it.each<[string, string, (data: string) => void]>([
    ['nothing', 'missing', (data) => rmSync(pathOf(data))],
    ['one with a changed byte of its rows', 'forged', changed((length) => Math.floor(length / 2))],
    ['one with a changed byte of its end', 'forged', changed((length) => length - 5)],
    ['half of one', 'torn', cut((length) => Math.floor(length / 2))],
    ['one without its last byte', 'torn', cut((length) => length - 1)],
    ['one of 0 bytes', 'torn', cut(() => 0)],
    ["another service's", 'forged', (data) => copyFileSync(pathOf(data, 'approval'), pathOf(data))],
    [
      "another service's, with that service's key",
      'other_owner',
      (data) => {
        copyFileSync(pathOf(data, 'approval'), pathOf(data))
        const keyOf = (service: string) => keyFilePath(paths(data).keys(service), 'snapshot')
        copyFileSync(keyOf('approval'), keyOf('policy-decision'))
      },
    ],
    [
      'a link to it',
      'unreadable',
      (data) => {
        const real = join(data, 'real')
        copyFileSync(pathOf(data), real)
        rmSync(pathOf(data))
        symlinkSync(real, pathOf(data))
      },
    ],
    [
      'a folder',
      'unreadable',
      (data) => {
        rmSync(pathOf(data))
        mkdirSync(pathOf(data))
      },
    ],
    [
      'a pipe without a writer',
      'unreadable',
      (data) => {
        rmSync(pathOf(data))
        execFileSync('mkfifo', [pathOf(data)])
      },
    ],
  ])(
    '%s: everything is read, and the log says why (%s) (V9)',
    async (_what, why, tamper) => {
      const { starts, read, adjusted } = await started(early, tamper)
      expect({ said: starts['policy-decision'], read, adjusted }).toEqual({
        said: why,
        read: 'ok',
        adjusted: 'uses_exhausted',
      })
    },
    patienceMs,
  )

  it(
    'a key that others may read authenticates nothing (V17)',
    async () => {
      const { starts, read } = await started(early, (data) =>
        chmodSync(keyFilePath(paths(data).keys('policy-decision'), 'snapshot'), 0o644),
      )
      expect({ said: starts['policy-decision'], read }).toEqual({
        said: 'no snapshots: each start reads everything',
        read: 'ok',
      })
    },
    patienceMs,
  )
})

it(
  'a restored installation brings no snapshot, and uses none that is ahead of its bus or of another history (V7)',
  async () => {
    expect(readdirSync(backup)).not.toContain('snapshots')
    const data = join(home, 'restored')
    expect((await operatorAt(data)('restore', backup)).code).toBe(0)
    expect(readdirSync(data)).not.toContain('snapshots')
    // An attacker puts them there, from the disk as it was last: they hold a later history of the same installation.
    cpSync(join(later, 'snapshots'), join(data, 'snapshots'), { recursive: true })
    for (const service of services)
      copyFileSync(
        keyFilePath(paths(later).keys(service), 'snapshot'),
        keyFilePath(paths(data).keys(service), 'snapshot'),
      )
    const first = hearing()
    {
      await using scene = await Scene.reopen({ data, ...ports, logger: first.logger })
      expect(first.starts.issuer).toBe('ahead_of_bus')
      // The issuer has revoked everything meanwhile, so the bus has an event again where the snapshots have another.
      expect(['ahead_of_bus', 'other_history']).toContain(first.starts['policy-decision'])
      expect(await scene.tryCall(scene.agent(), grantId)).toMatch(/revoked|refused/)
      // The bus grows past what the snapshots hold.
      for (let n = 0; n < 12; n++) await scene.tryCall(scene.agent(), grantId)
    }
    for (const service of services) copyFileSync(pathOf(later, service), pathOf(data, service))
    const again = hearing()
    await using scene = await Scene.reopen({ data, ...ports, logger: again.logger })
    for (const service of services) expect(['ahead_of_bus', 'other_history']).toContain(again.starts[service])
    expect(await scene.tryCall(scene.agent(), grantId)).toMatch(/revoked|refused/)
  },
  patienceMs,
)

it(
  'holds no words of people or agents, so none come back that were erased (V17)',
  async () => {
    const data = mkdtempSync(join(home, 'words-'))
    const words = 'CANARY-86'
    let id = ''
    {
      await using scene = await Scene.open({ data, ...ports })
      const agent = scene.agent()
      const ask = { authority: sampleAuthority, mode: 'window', expiresInSeconds: 901, purpose: words } as const
      id = (await answered(() => agent.request(agent.signRequest(ask)))).requestId
    }
    expect(readFileSync(pathOf(data, 'approval')).includes(id)).toBe(true)
    for (const service of services) expect(readFileSync(pathOf(data, service)).includes(words)).toBe(false)
    expect(holding(data, words).filter((file) => !/erasable|values/.test(file))).toEqual([])
  },
  patienceMs,
)
