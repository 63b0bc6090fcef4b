import { ServiceError } from '@bailiwick/errors'
import { expect, it } from 'vitest'
import { type Prey, type Probed, type Reach, RevocationProbe } from './revocation-probe.ts'
import type { Granted } from './world.ts'

const token = `x.${Buffer.from(JSON.stringify({ jti: 'crd_1', exp: 0 })).toString('base64url')}.x`
const allow: Probed = { decision: true }
const deny = (reason: string): Probed => ({ decision: false, reason })

/**
 * Two decision points. `answer` gives a point's answer for a grant, by the number of calls to it before and since the
 * revocation.
 */
class Points implements Reach {
  readonly points = 2
  readonly atOnce = 2
  readonly ahead = 2
  readonly answer: (asked: { grantId: string; before: number; since: number; point: number }) => Probed
  /** For each revoked grant, how often it had been allowed. */
  readonly allowedBefore: number[] = []
  #made = 0
  readonly #asked = new Map<string, { allowed: number; before: number; since: number[]; revoked: boolean }>()

  constructor(answer: Points['answer']) {
    this.answer = answer
  }

  async prey(_kind?: string, _lane?: number): Promise<Prey> {
    const grantId = `grt_${++this.#made}`
    this.#asked.set(grantId, { allowed: 0, before: 0, since: [0, 0], revoked: false })
    return { requestId: 'req_1', grantId, token, target: grantId }
  }

  other = () => this.prey()

  async ask({ grantId }: Granted, point: number): Promise<Probed> {
    const asked = this.#of(grantId)
    const since = asked.revoked ? (asked.since[point] ?? 0) + 1 : 0
    asked.since[point] = since
    const answered = this.answer({ grantId, before: asked.before, since, point })
    if (!asked.revoked) asked.before++
    if (answered.decision) asked.allowed++
    return answered
  }

  async revoke(kind: string, grantId: string): Promise<void> {
    const ended = kind === 'all' ? [...this.#asked.values()].filter(({ revoked }) => !revoked) : [this.#of(grantId)]
    for (const asked of ended) {
      this.allowedBefore.push(asked.allowed)
      asked.revoked = true
    }
  }

  #of(grantId: string) {
    const asked = this.#asked.get(grantId)
    if (!asked) throw new Error(`no ${grantId}`)
    return asked
  }
}

const probed = (reach: Reach) => new RevocationProbe(reach, 'grant').run(3, () => {})

it('reports an ALLOW after the answer, from either decision point and however late', async () => {
  const { lags } = await probed(
    new Points(({ since, point }) => (since < (point === 1 ? 20 : 1) ? allow : deny('grant_revoked'))),
  )
  expect(lags).toHaveLength(3)
  for (const lag of lags) expect(lag).toBeGreaterThan(0)
})

it('reports none where there is none', async () => {
  const { lags, late, outlived } = await probed(
    new Points(({ since }) => (since === 0 ? allow : deny('grant_revoked'))),
  )
  expect({ lags, late, outlived }).toEqual({ lags: [0, 0, 0], late: 0, outlived: 0 })
})

it('revokes only what was allowed, and waits for its end however late the machine is, so that silence is not mistaken for speed', async () => {
  const reach = new Points(({ before, since }) => {
    if (since === 0) return before < 10 ? deny('state_stale') : allow
    if (since < 10) throw new ServiceError('service_unreachable')
    return deny('grant_revoked')
  })
  const { late } = await probed(reach)
  expect(reach.allowedBefore).toHaveLength(3)
  for (const allowed of reach.allowedBefore) expect(allowed).toBeGreaterThan(0)
  expect(late).toBeGreaterThanOrEqual(3 * 10 * 2)
})

it('replaces a grant that is dead at birth, and fails for anything that must not happen', async () => {
  const dead = new Set(['grt_1', 'grt_3'])
  const reach = new Points(({ grantId, since }) => (since > 0 || dead.has(grantId) ? deny('grant_revoked') : allow))
  expect((await probed(reach)).lags).toEqual([0, 0, 0])
  await expect(probed(new Points(() => deny('policy_denied')))).rejects.toThrow('denied: policy_denied')
})

it('revokes several at once, each in a lane of its own', async () => {
  const reach = new Points(({ since }) => (since > 0 ? deny('grant_revoked') : allow))
  const { prey, revoke } = reach
  const lanes = new Set<number | undefined>()
  reach.prey = (_, lane) => {
    lanes.add(lane)
    return prey.call(reach)
  }
  reach.other = () => prey.call(reach)
  const targets: string[] = []
  const under = { now: 0, most: 0 }
  const second = Promise.withResolvers<void>()
  reach.revoke = async (kind, target) => {
    targets.push(target)
    under.most = Math.max(under.most, ++under.now)
    if (under.now > 1) second.resolve()
    await second.promise
    await revoke.call(reach, kind, target)
    under.now--
  }
  const { lags } = await new RevocationProbe(reach, 'grant').run(8, () => {})
  expect(lags).toEqual(Array(8).fill(0))
  expect([...lanes].sort()).toEqual([0, 1, 2, 3])
  expect(under.most).toBe(2)
  expect(new Set(targets).size).toBe(8)
})

it('ends two with a revocation of everything, and makes none before its answer, which would be dead at birth', async () => {
  const reach = new Points(({ since }) => (since > 0 ? deny('everything_revoked') : allow))
  const { lags } = await new RevocationProbe(reach, 'all').run(3, () => {})
  expect(lags).toEqual(Array(6).fill(0))
  expect(reach.allowedBefore).toHaveLength(6)
  for (const allowed of reach.allowedBefore) expect(allowed).toBeGreaterThan(0)
})

it('begins none when its time is over, and reports how many there were', async () => {
  const reach = new Points(({ since }) => (since > 0 ? deny('grant_revoked') : allow))
  const { revoked, lags } = await new RevocationProbe(reach, 'grant').run(1_000_000, () => {}, 0.5)
  expect(revoked).toBeGreaterThan(0)
  expect(lags).toHaveLength(revoked)
})
