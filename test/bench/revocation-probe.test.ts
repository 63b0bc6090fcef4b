import { ServiceError } from '@bailiwick/errors'
import { expect, it } from 'vitest'
import { type Prey, type Probed, type Reach, RevocationProbe } from './revocation-probe.ts'

const token = `x.${Buffer.from(JSON.stringify({ jti: 'crd_1', exp: 0 })).toString('base64url')}.x`
const allow: Probed = { decision: true }
const deny = (reason: string): Probed => ({ decision: false, reason })

/** Two decision points; `answer` says what one says of a grant, by how often it was asked of it before and since it was revoked. */
class Points implements Reach {
  readonly points = 2
  readonly answer: (asked: { grantId: string; before: number; since: number; point: number }) => Probed
  /** Of each that was revoked, how often it had been allowed. */
  readonly allowedBefore: number[] = []
  #made = 0
  readonly #asked = new Map<string, { allowed: number; before: number; since: number[]; revoked: boolean }>()

  constructor(answer: Points['answer']) {
    this.answer = answer
  }

  async prey(): Promise<Prey> {
    const grantId = `grt_${++this.#made}`
    this.#asked.set(grantId, { allowed: 0, before: 0, since: [0, 0], revoked: false })
    return { requestId: 'req_1', grantId, token, key: undefined, delegation: undefined }
  }

  passOn = () => this.prey()

  async ask({ grantId }: Prey, point: number): Promise<Probed> {
    const asked = this.#of(grantId)
    const since = asked.revoked ? (asked.since[point] ?? 0) + 1 : 0
    asked.since[point] = since
    const answered = this.answer({ grantId, before: asked.before, since, point })
    if (!asked.revoked) asked.before++
    if (answered.decision) asked.allowed++
    return answered
  }

  async revoke(_: string, grantId: string): Promise<void> {
    const asked = this.#of(grantId)
    this.allowedBefore.push(asked.allowed)
    asked.revoked = true
  }

  #of(grantId: string) {
    const asked = this.#asked.get(grantId)
    if (!asked) throw new Error(`no ${grantId}`)
    return asked
  }
}

const probed = (reach: Reach) => new RevocationProbe(reach, 'grant').run(3, () => {})

it('tells of an ALLOW after the answer, of whichever decision point and however late', async () => {
  const { lags } = await probed(
    new Points(({ since, point }) => (since < (point === 1 ? 20 : 1) ? allow : deny('grant_revoked'))),
  )
  expect(lags).toHaveLength(3)
  for (const lag of lags) expect(lag).toBeGreaterThan(0)
})

it('tells of none where there is none', async () => {
  const { lags, late, outlived } = await probed(
    new Points(({ since }) => (since === 0 ? allow : deny('grant_revoked'))),
  )
  expect({ lags, late, outlived }).toEqual({ lags: [0, 0, 0], late: 0, outlived: 0 })
})

it('revokes what was allowed, and hears of its end, however late a machine is: else nothing would look like a quick end', async () => {
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

it('takes another where one is dead at birth, and fails for what must not be', async () => {
  const dead = new Set(['grt_1', 'grt_3'])
  const reach = new Points(({ grantId, since }) => (since > 0 || dead.has(grantId) ? deny('grant_revoked') : allow))
  expect((await probed(reach)).lags).toEqual([0, 0, 0])
  await expect(probed(new Points(() => deny('policy_denied')))).rejects.toThrow('denied: policy_denied')
})
