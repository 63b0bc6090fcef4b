import { randomBytes } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { paths } from '@bailiwick/installation'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { audit } from '../audit.ts'
import { openAdapters } from './adapters-under-test.ts'
import { upstreamSecret } from './gateway-world.ts'
import { type GitRun, type GitWorld, git, gitAuthority, gitDone, gitThrough, openGitWorld } from './git-world.ts'
import { eventually } from './world.ts'

/* Real git in front of the gateway, and `git http-backend` behind it: from a clone to a withdrawal. */

let at: GitWorld
let clones = 0
const opened = new AsyncDisposableStack()
beforeAll(async () => {
  const { bus, store: grantStore } = opened.use(await openAdapters())
  at = opened.use(await openGitWorld({ system: { adapters: { bus, grantStore } } }))
  const seed = join(at.folder, 'seed')
  mkdirSync(seed)
  await gitDone(seed, 'init', '--quiet', '--initial-branch=main')
  writeFileSync(join(seed, 'README'), 'An application.\n')
  await gitDone(seed, 'add', '.')
  await gitDone(seed, 'commit', '--quiet', '-m', 'Begin')
  await gitDone(seed, 'push', '--quiet', at.repository, 'main')
})
afterAll(() => opened.disposeAsync())
beforeEach(() => {
  at.backend.arrived.length = 0
})

/** A clone under a new grant, with a commit on a branch of its own. */
async function cloned(...options: string[]): Promise<{ clone: string; grantId: string; requestId: string }> {
  const granted = await at.world.granted(gitAuthority())
  const clone = join(at.folder, `clone-${++clones}`)
  const remote = await at.remote(granted.grantId)
  await gitDone(at.folder, ...options, 'clone', '--quiet', remote, clone)
  return { clone, ...granted }
}

async function commit(clone: string, content: string | Buffer = `${clones}\n`, file = 'change'): Promise<string> {
  writeFileSync(join(clone, file), content)
  await gitDone(clone, 'add', '.')
  await gitDone(clone, 'commit', '--quiet', '-m', 'Change')
  return gitDone(clone, 'rev-parse', 'HEAD')
}

const onServer = async (ref: string) => (await git(at.repository, 'rev-parse', '--verify', '--quiet', ref)).out.trim()
/** What git says is shown when a test fails. */
const done = { code: 0, out: expect.any(String), said: expect.stringMatching(/new branch|up-to-date/) }
const denied = ({ code, said }: GitRun) => ({ isDenied: code !== 0, said })

describe.each(['0', '1', '2'])('in version %s of the protocol', (version) => {
  it('clones, fetches, and pushes to a branch of its own, and the server sees its own secret alone', async () => {
    const protocol = ['-c', `protocol.version=${version}`]
    const { clone } = await cloned(...protocol)
    const id = await commit(clone)
    const branch = `refs/heads/agent/of-${version}`
    const pushed = await gitThrough(clone, ...protocol, 'push', 'origin', `HEAD:${branch}`)
    expect(pushed).toEqual(done)
    expect(await onServer(branch)).toBe(id)
    await gitDone(clone, ...protocol, 'fetch', '--quiet', 'origin')
    for (const { headers } of at.backend.arrived) {
      expect(headers.authorization).toBe(`Bearer ${upstreamSecret}`)
      expect(JSON.stringify(headers)).not.toMatch(/dpop|bailiwick-/i)
    }
  })
})

it('pushes what is longer than git keeps, after a request that asks whether it may', async () => {
  const { clone } = await cloned()
  const id = await commit(clone, randomBytes(3 * 1024 * 1024))
  expect(await gitThrough(clone, 'push', 'origin', 'HEAD:refs/heads/agent/long')).toEqual(done)
  expect(await onServer('refs/heads/agent/long')).toBe(id)
  expect(at.backend.posted('git-receive-pack').map(({ body }) => body.length)).not.toContain(4)
})

describe('what the grant does not allow', () => {
  it.each<[string, string[], string]>([
    ['another branch', ['HEAD:refs/heads/main'], 'argument_out_of_bounds'],
    ['another branch by force', ['--force', 'HEAD:refs/heads/main'], 'argument_out_of_bounds'],
    ['a tag', ['HEAD:refs/tags/v1'], 'argument_out_of_bounds'],
    ['to delete a branch', [':refs/heads/main'], 'action_not_granted'],
    ['to delete its own branch', [':refs/heads/agent/kept'], 'action_not_granted'],
    ['two branches at once', ['HEAD:refs/heads/agent/a', 'HEAD:refs/heads/main'], 'git_feature_refused'],
    ['push options', ['-o', 'ci.skip', 'HEAD:refs/heads/agent/a'], 'git_feature_refused'],
  ])('%s: git says why, and nothing of it reaches the server', async (_, args, reason) => {
    const { clone } = await cloned()
    await gitDone(at.repository, 'config', 'receive.advertisePushOptions', 'true')
    await gitDone(at.repository, 'update-ref', 'refs/heads/agent/kept', 'refs/heads/main')
    const main = await onServer('refs/heads/main')
    await commit(clone)
    const run = await gitThrough(clone, 'push', 'origin', ...args)
    expect(denied(run)).toEqual({ isDenied: true, said: expect.stringContaining(reason) })
    expect(at.backend.posted('git-receive-pack')).toEqual([])
    expect(await onServer('refs/heads/main')).toBe(main)
    expect(await onServer('refs/heads/agent/kept')).not.toBe('')
  })

  it('another repository: git says why before anything is cloned', async () => {
    const { grantId } = await at.world.granted(gitAuthority())
    const other = (await at.remote(grantId)).replace('app.git', 'other.git')
    const run = await gitThrough(at.folder, 'clone', other, join(at.folder, 'other'))
    expect(denied(run)).toEqual({ isDenied: true, said: expect.stringContaining('argument_out_of_bounds') })
    expect(at.backend.arrived).toEqual([])
  })
})

it('shows why a fetch is denied after it began', async () => {
  const authority = gitAuthority()
  const [read, ...others] = authority.permissions as { where?: object }[]
  const permissions = [{ ...read, where: { ...read?.where, '/command': { eq: 'advertise' } } }, ...others]
  const { grantId } = await at.world.granted({ ...authority, permissions })
  const run = await gitThrough(at.folder, 'clone', await at.remote(grantId), join(at.folder, 'denied'))
  const said = expect.stringContaining('remote error: Denied (argument_out_of_bounds)')
  expect(denied(run)).toEqual({ isDenied: true, said })
  expect(at.backend.posted('git-upload-pack')).toEqual([])
})

it('says in its outcome that the server refused a push, which is answered with 200', async () => {
  await gitDone(at.repository, 'config', 'receive.denyNonFastForwards', 'true')
  const { clone } = await cloned()
  await commit(clone, 'one')
  await gitDone(clone, 'push', '--quiet', 'origin', 'HEAD:refs/heads/agent/forced')
  await gitDone(clone, 'reset', '--quiet', '--hard', 'HEAD~1')
  await commit(clone, 'two')
  const run = await gitThrough(clone, 'push', '--force', 'origin', 'HEAD:refs/heads/agent/forced')
  expect(denied(run)).toEqual({ isDenied: true, said: expect.stringContaining('non-fast-forward') })
  const seen = await eventually(async () => {
    const found: string[] = []
    await using follower = await at.world.system.host.bus.follow(['decisions.v1'], 'start', async (batch) => {
      for (const { bytes } of batch) {
        const { type, data } = JSON.parse(Buffer.from(bytes).toString())
        if (type === 'outcome.reported') found.push(Buffer.from(data.outcome.split('.')[1], 'base64url').toString())
      }
    })
    await follower.caughtUp
    return found.find((text) => text.includes('"status":"failed"'))
  })
  expect(JSON.parse(seen)).toMatchObject({ status: 'failed', http_status: 200 })
})

it('a withdrawal cuts a clone in the middle (V7)', async () => {
  await gitDone(join(at.folder, 'seed'), 'checkout', '--quiet', '-b', 'large')
  await commit(join(at.folder, 'seed'), randomBytes(3 * 1024 * 1024), 'large')
  await gitDone(join(at.folder, 'seed'), 'push', '--quiet', at.repository, 'HEAD:refs/heads/large')
  const { grantId, requestId } = await at.world.granted(gitAuthority())
  at.backend.holdAfter = 1024 * 1024
  try {
    const remote = await at.remote(grantId)
    const cloning = await eventually(async () => {
      const begun = git(at.folder, 'clone', remote, join(at.folder, 'cut'))
      const held = eventually(() => (at.backend.held > 0 ? true : undefined))
      return (await Promise.race([held, begun])) === true ? { begun } : undefined
    })
    await at.world.approver.withdraw(requestId)
    expect(await cloning.begun).toMatchObject({ code: 128 })
  } finally {
    at.backend.holdAfter = Number.POSITIVE_INFINITY
  }
})

it('leaves evidence that an auditor finds in order', async () => {
  const { log, trust } = paths(at.world.system.data)
  const report = await eventually(async () => {
    const seen = await audit({ logDir: log, trustPath: trust })
    return seen.findings.length === 0 ? seen : undefined
  })
  expect(report.findings).toEqual([])
})
