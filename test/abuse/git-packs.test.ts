import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { gitAuthority } from '../e2e/git-world.ts'
import { type Attack, GitAttacker, list, mostPush, packOf, plus } from './git-attacks.ts'
import { RawAgent } from './raw-request.ts'

/* Packs that are too long, that end in the middle, or that something follows: they move no ref, and the gateway holds none of them. */

let attacker: GitAttacker
beforeAll(async () => {
  attacker = await GitAttacker.open()
})
afterAll(() => attacker?.[Symbol.asyncDispose]())
beforeEach(() => {
  attacker.at.backend.arrived.length = 0
})
const attack = (made: Attack) => attacker.attack(made)
const onServer = (ref: string) => attacker.onServer(ref)
const command: GitAttacker['command'] = (...args) => attacker.command(...args)
const push: GitAttacker['push'] = (...args) => attacker.push(...args)
const posted = () => attacker.at.backend.posted('git-receive-pack')

describe('a pack', () => {
  const large = () => Buffer.concat([list(command('refs/heads/agent/large')), packOf(Buffer.alloc(3 * mostPush))])

  it.each<[string, () => Attack]>([
    ['as it is', () => ({ body: large() })],
    ['zipped', () => ({ body: gzipSync(large()), fields: plus('Content-Encoding: gzip') })],
  ])('longer than its limit is cut at the limit, and moves no ref: %s', async (_, made) => {
    const { status, body } = await attack(made())
    expect([status, body]).toEqual([413, expect.stringContaining('body_too_large')])
    const [arrived] = posted()
    expect(arrived?.body.length ?? 0).toBeLessThanOrEqual(mostPush)
    expect(await onServer('refs/heads/agent/large')).toBe('')
  })

  it('whose client goes in the middle moves no ref', async () => {
    const socket = await attacker.begun('refs/heads/agent/cut', attacker.agent)
    socket.destroy()
    await expect.poll(() => attacker.at.backend.open, { timeout: 60_000 }).toBe(0)
    expect(await onServer('refs/heads/agent/cut')).toBe('')
  })

  it('whose grant is withdrawn in the middle moves no ref (V7)', async () => {
    const { grantId, requestId } = await attacker.at.world.granted(gitAuthority())
    const socket = await attacker.begun('refs/heads/agent/withdrawn', await RawAgent.open(attacker.at.world, grantId))
    await attacker.at.world.approver.withdraw(requestId)
    await expect.poll(() => attacker.at.backend.open, { timeout: 60_000 }).toBe(0)
    socket.destroy()
    expect(await onServer('refs/heads/agent/withdrawn')).toBe('')
  })

  it('with another list behind it moves no second ref', async () => {
    await attack({ body: Buffer.concat([push('refs/heads/agent/first'), push('refs/heads/second')]) })
    expect(await onServer('refs/heads/second')).toBe('')
  })
})
