import { setTimeout as pause } from 'node:timers/promises'
import { type Agent, createAgent, type GrantName } from '@bailiwick/agent'
import { run } from '@bailiwick/cli'
import { claimedKeyId, signClientAssertion } from '@bailiwick/credentials'
import { keyFileNames, paths } from '@bailiwick/installation'
import { newId, systemClock } from '@bailiwick/kit'
import { sample, sampleAgentId, sampleAuthority, sampleKey } from '@bailiwick/standalone/sample'
import { expect, it } from 'vitest'
import { audit } from '../audit.ts'
import { askTokenWithNonce } from './agent-side.ts'
import { Lateness } from './lateness.ts'
import { openWhole, toolCall, type Whole } from './whole.ts'

const rotations = process.env.BAILIWICK_NIGHTLY === '1' ? 100 : 3
/** V7's bound. */
const boundMs = 1000
/** Answers of a system on a late machine, with any keys. On a machine that was not late, each of them counts as a refusal. */
const busyCodes = [
  'state_stale',
  'deadline_exceeded',
  'queue_full',
  'service_standby',
  'service_unready',
  'service_unreachable',
  'TimeoutError',
]
const fewBusy = 0.02
/** An instance may have 512 live credentials, for ten minutes each. */
const keptMs = rotations > 10 ? 2500 : 100
const lateness = new Lateness()
const isOfLateMachine = (said: string) => busyCodes.some((code) => said.includes(code)) && lateness.wasLate()
const purposes = Object.keys(keyFileNames)

interface Standing {
  kid: string
  purpose: string
  state: string
}

/** The operator's own command, on the socket of the running system. */
async function keys<T = Standing>(whole: Whole, ...argv: string[]): Promise<T> {
  const { clock, random, data } = whole.system
  const lines: string[] = []
  const say = (line: string) => void lines.push(line)
  for (let tries = 0; ; tries++) {
    const code = await run(['keys', ...argv, '--json', '--data', data], { out: say, err: say, env: {}, clock, random })
    if (code === 0) break
    const said = lines.splice(0).join('\n')
    if (tries === 20 || !isOfLateMachine(said)) throw new Error(said)
    await pause(500)
  }
  return JSON.parse(lines.join('\n')) as T
}

const standings = async (whole: Whole): Promise<Standing[]> => (await keys<{ keys: Standing[] }>(whole, 'list')).keys

function agentOf({ system }: Whole, name: (typeof sample.agents)[number] = 'reconciler'): Agent {
  const { trust, url, clock, random, data } = system
  const named = { agentId: sampleAgentId(name), instance: sample.instance, key: sampleKey(data, name) }
  return createAgent({ ...named, installation: trust.installation, baseUrl: url, now: () => clock.now(), random })
}

async function granted(whole: Whole): Promise<string> {
  const authority = { ...sampleAuthority, budget: { calls: 1_000_000 }, max_depth: 1, max_children: 1 }
  const ask = { authority, mode: 'window', expiresInSeconds: 8 * 3600 } as const
  const { requestId } = await patiently(() => agentOf(whole).request(ask))
  const { grant_id: grantId } = await patiently(() => whole.approver.approve(requestId))
  if (grantId === undefined) throw new Error('no grant')
  return grantId
}

/** Delegates a part of it to the other sample agent. */
async function passedOn(whole: Whole, grantId: string): Promise<string> {
  const { data, clock } = whole.system
  const ask = {
    of: { grantId },
    to: `${sampleAgentId('forecaster')}/${sample.instance}`,
    key: sampleKey(data, 'forecaster').kid,
    authority: { ...sampleAuthority, budget: { calls: 500_000 } },
    expiresAt: clock.now() + 7 * 3_600_000,
  }
  return (await patiently(() => agentOf(whole).delegate(ask))).delegation
}

const call = (agent: Agent, { system }: Whole, grant: GrantName): Promise<Response> =>
  agent.fetch(`${system.invoicesUrl}/read`, { method: 'POST' }, { grant, ...toolCall('read', { invoice: 'INV-1' }) })

/** An agent that acts all the time and takes a new credential every few calls; a sub-agent gets its own by token exchange. */
class Load {
  readonly refusals: string[] = []
  calls = 0
  busy = 0
  kid: string | undefined
  #stopped = false
  readonly #done: Promise<void>

  constructor(whole: Whole, grant: GrantName) {
    this.#done = this.#run(whole, grant)
  }

  async #run(whole: Whole, grant: GrantName): Promise<void> {
    while (!this.#stopped) {
      const agent = agentOf(whole, 'delegation' in grant ? 'forecaster' : 'reconciler')
      try {
        this.kid = claimedKeyId((await agent.credential(grant)).token)
        for (const until = systemClock.monotonic() + keptMs; systemClock.monotonic() < until && !this.#stopped; ) {
          const response = await call(agent, whole, grant)
          const said = await response.text()
          this.calls++
          if (response.status !== 200) this.#refused(`${response.status} ${said}`)
          await pause(5)
        }
      } catch (error) {
        this.#refused(String(error))
        await pause(20)
      }
    }
  }

  #refused(said: string): void {
    if (isOfLateMachine(said)) this.busy++
    else this.refusals.push(said)
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await this.#done
  }
}

/** Repeats a call that a late machine left unanswered. */
async function patiently<T>(ask: () => Promise<T>, tries = 20): Promise<T> {
  try {
    return await ask()
  } catch (error) {
    if (tries === 0 || !isOfLateMachine(String(error))) throw error
    await pause(500)
    return patiently(ask, tries - 1)
  }
}

async function introspected({ system }: Whole, token: string): Promise<boolean> {
  const { clock, random, url, data } = system
  const iat = Math.floor(clock.now() / 1000)
  const id = sample.enforcementPoint
  const claims = { iss: id, sub: id, aud: url, iat, exp: iat + 60, jti: newId('call', clock.now(), random) }
  const answer = await fetch(`${url}/oauth/introspect`, {
    method: 'POST',
    body: new URLSearchParams({
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: signClientAssertion(claims, sampleKey(data, 'point-caller')),
      token,
    }),
  })
  return ((await answer.json()) as { active: boolean }).active
}

/**
 * Whether the issuer exchanges a credential under any type name, asking for no particular authority; a sub-agent
 * presents its own.
 */
async function exchanged({ system }: Whole, agent: (typeof sample.agents)[number], token: string): Promise<boolean> {
  const answers = ['jwt', 'access_token'].map((type) =>
    askTokenWithNonce(
      { ...system, http: system.host.http },
      {
        agent,
        form: {
          grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
          subject_token: token,
          subject_token_type: `urn:ietf:params:oauth:token-type:${type}`,
          authorization_details: undefined,
        },
      },
    ),
  )
  return (await Promise.all(answers)).some(({ status }) => status === 200)
}

/** How long after `from` the condition still held, in ms. */
async function goesOnFor(from: number, holds: () => Promise<boolean>): Promise<number> {
  for (let last = 0; ; ) {
    const asked = systemClock.monotonic()
    if (!(await holds())) return last
    last = asked - from
    if (last > 10 * boundMs) return last
  }
}

it(`rotates all keys under load ${rotations} times: no honest call is refused, no replaced key signs, and what a revoked key signed ends within 1 s (V4, V7, V12)`, {
  timeout: 60_000 + rotations * 30_000,
}, async () => {
  await using whole = await openWhole()
  const grantId = await granted(whole)
  const delegation = await passedOn(whole, grantId)
  const loads = [new Load(whole, { grantId }), new Load(whole, { delegation })]
  const slowest = { point: 0, introspection: 0, exchange: 0 }
  try {
    for (let n = 0; n < rotations; n++) {
      const previous = (await standings(whole)).filter(({ state }) => state === 'active')
      expect(previous.map(({ purpose }) => purpose).sort()).toEqual([...purposes].sort())
      const prepared = await Promise.all(purposes.map((purpose) => keys(whole, 'prepare', purpose)))
      const jwks = await patiently(async () => {
        const answer = await fetch(`${whole.system.url}/oauth/jwks`)
        if (answer.status !== 200) throw new Error(await answer.text())
        return answer.json()
      })
      const next = prepared.find(({ purpose }) => purpose === 'credential')?.kid
      expect((jwks as { keys: { kid: string }[] }).keys.map(({ kid }) => kid)).toContain(next)
      // An enforcement point that meets an unknown key fetches the keys again a second after its last fetch.
      await pause(1100)
      const old = agentOf(whole)
      const { token } = await patiently(() => old.credential({ grantId }))
      const { token: subToken } = await patiently(() => agentOf(whole, 'forecaster').credential({ delegation }))
      for (const { kid } of prepared) await keys(whole, 'activate', kid)
      await expect.poll(() => loads.every(({ kid }) => kid === next)).toBe(true)
      for (const { kid } of previous) await keys(whole, 'taint', kid)
      const status = async () => (await call(old, whole, { grantId })).status
      const accepted = () =>
        patiently(async () => {
          const answer = await call(old, whole, { grantId })
          if (answer.status !== 200) throw new Error(`${answer.status} ${await answer.text()}`)
        })
      await accepted()
      await expect.poll(() => introspected(whole, token)).toBe(true)
      await Promise.all(previous.map(({ kid, purpose }) => purpose !== 'credential' && keys(whole, 'revoke', kid)))
      await accepted()
      await keys(whole, 'revoke', previous.find(({ purpose }) => purpose === 'credential')?.kid ?? '')
      const acknowledged = systemClock.monotonic()
      const [point, ofParent, ofSub, exchange, ofOwn] = await Promise.all([
        goesOnFor(acknowledged, async () => (await status()) === 200),
        goesOnFor(acknowledged, () => introspected(whole, token)),
        goesOnFor(acknowledged, () => introspected(whole, subToken)),
        goesOnFor(acknowledged, () => exchanged(whole, 'forecaster', token)),
        goesOnFor(acknowledged, () => exchanged(whole, 'forecaster', subToken)),
      ])
      slowest.point = Math.max(slowest.point, point)
      slowest.introspection = Math.max(slowest.introspection, ofParent, ofSub)
      slowest.exchange = Math.max(slowest.exchange, exchange, ofOwn)
      // Delegations survive the rotation: their maker's own key signed them.
      for (const [name, grant] of [['reconciler', { grantId }] as const, ['forecaster', { delegation }] as const]) {
        const newest = await patiently(() => agentOf(whole, name).credential(grant))
        expect([name, claimedKeyId(newest.token)]).toEqual([name, next])
      }
    }
  } finally {
    await Promise.all(loads.map((load) => load.stop()))
  }
  expect(loads.flatMap(({ refusals }) => refusals)).toEqual([])
  const calls = loads.reduce((sum, load) => sum + load.calls, 0)
  const busy = loads.reduce((sum, load) => sum + load.busy, 0)
  expect(busy).toBeLessThanOrEqual(Math.ceil(calls * fewBusy))
  expect(slowest.point).toBeLessThanOrEqual(boundMs)
  expect(slowest.introspection).toBeLessThanOrEqual(boundMs)
  expect(slowest.exchange).toBeLessThanOrEqual(boundMs)
  const revoked = (await standings(whole)).filter(({ state }) => state === 'revoked')
  expect(revoked).toHaveLength(rotations * purposes.length)
  const { data, services } = whole.system
  const size = services.evidence.size()
  await expect.poll(() => services.evidence.size()).toBeGreaterThanOrEqual(size)
  await pause(1500)
  const report = await audit({ logDir: paths(data).log, trustPath: paths(data).trust })
  expect(report.findings).toEqual([])
  expect(report.counted['service-key.retired']).toBe(rotations * purposes.length)
  console.log(
    `rotations: ${rotations} of all ${purposes.length} keys, ${calls} calls meanwhile, none refused but ${busy} for which the machine was late; after a revocation the last acceptance began ${Math.round(slowest.point)} ms later at the decision point, ${Math.round(slowest.introspection)} ms later at introspection, ${Math.round(slowest.exchange)} ms later at exchange; ${report.leaves} leaves audited`,
  )
})
