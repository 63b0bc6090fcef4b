import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type Agent,
  createAgent,
  joinToken,
  type Taker,
  type TokenSource,
  tokenFiles,
  type WorkloadAttestation,
  workloadKey,
} from '@bailiwick/agent'
import { sha256 } from '@bailiwick/credentials'
import { sampleAuthority } from '@bailiwick/standalone/sample'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { openWhole, toolCall, type Whole } from './whole.ts'
import { Authority, jobAgent, jobAudience, joinAgent, podAgent } from './workloads.ts'

const authority = new Authority()
const folder = mkdtempSync(join(tmpdir(), 'workload-'))
let whole: Whole
beforeAll(async () => {
  whole = await openWhole({ entities: (sample) => [...sample, ...authority.agents()] })
})
afterAll(async () => {
  await whole[Symbol.asyncDispose]()
  authority[Symbol.dispose]()
  rmSync(folder, { recursive: true, force: true })
})

function workload(id: string, attestation: WorkloadAttestation, key = workloadKey()): Agent {
  const { url, trust, clock, random } = whole.system
  const cut = id.lastIndexOf('/')
  return createAgent({
    ...{ agentId: id.slice(0, cut), instance: id.slice(cut + 1), key, attestation },
    ...{ installation: trust.installation, baseUrl: url, now: () => clock.now(), random },
  })
}

async function granted(agent: Agent): Promise<string> {
  const { requestId } = await agent.request({ authority: sampleAuthority, mode: 'window', expiresInSeconds: 3600 })
  await whole.approver.approve(requestId)
  const task = await agent.waitForDecision(requestId, { signal: AbortSignal.timeout(60_000) })
  if (task.grantId === undefined) throw new Error(`it was ${task.status}`)
  await agent.credential({ grantId: task.grantId }, { wait: AbortSignal.timeout(60_000) })
  return task.grantId
}

/** Waits until every service has seen the new time. */
async function acts(agent: Agent, grantId: string): Promise<void> {
  const call = { grant: { grantId }, ...toolCall('read', { invoice: 'INV-1' }) }
  const status = async () => (await agent.fetch(`${whole.system.invoicesUrl}/read`, { method: 'POST' }, call)).status
  await expect.poll(status).toBe(200)
}

/** By hash: the tokens of the workload behind the grant's credentials. */
async function attestedBy(grantId: string): Promise<(string | undefined)[]> {
  const seen: (string | undefined)[] = []
  await using follower = await whole.system.host.bus.follow(['grants.v1'], 'start', async (batch) => {
    for (const { bytes } of batch) {
      const { type, data } = JSON.parse(Buffer.from(bytes).toString())
      if (type === 'credential.intended' && data.grant_id === grantId) seen.push(data.attestation?.token_hash)
    }
  })
  await follower.caughtUp
  return seen
}

/** Moves the clock until the current credential is due for renewal. */
async function renewed(agent: Agent, grantId: string): Promise<void> {
  const before = await agent.credential({ grantId })
  whole.time.ahead += 280_000
  await expect.poll(async () => (await agent.credential({ grantId })).token !== before.token).toBe(true)
}

it('a workload asks and acts with JWT-SVIDs, each fetched for its audience, and a new one at each renewal (V11)', async () => {
  const id = `${podAgent}/sdk`
  const given: { taker: Taker; audience: string; token: string }[] = []
  const token: TokenSource = (wanted) => {
    const fresh = authority.svid(whole.system, id, { aud: [wanted.audience] })
    given.push({ ...wanted, token: fresh })
    return fresh
  }
  const agent = workload(id, { kind: 'jwt_svid', token })
  const grantId = await granted(agent)
  await acts(agent, grantId)
  await renewed(agent, grantId)
  await acts(agent, grantId)
  const { url } = whole.system
  expect(new Set(given.map(({ taker, audience }) => `${taker} ${audience}`))).toEqual(
    new Set([`access-requests ${url}/access/v1/requests`, `token ${url}`]),
  )
  const forIssuer = given.filter(({ taker }) => taker === 'token')
  const seen = await attestedBy(grantId)
  expect(seen.length).toBeGreaterThanOrEqual(2)
  expect(new Set(seen).size).toBe(seen.length)
  for (const hash of seen) expect(forIssuer.map((each) => sha256(each.token))).toContain(hash)
})

it('a job acts with its platform’s projected files, as they are at that moment, and a key in its own file', async () => {
  const files = { 'access-requests': join(folder, 'for-approval'), token: join(folder, 'for-issuer') }
  const project = () => {
    const forApproval = { aud: `${jobAudience}/access/v1/requests` }
    writeFileSync(files['access-requests'], `${authority.idToken(whole.system, '43', forApproval)}\n`)
    const token = authority.idToken(whole.system, '43')
    writeFileSync(files.token, `${token}\n`)
    return sha256(token)
  }
  const attestation: WorkloadAttestation = { kind: 'oidc', audience: jobAudience, token: tokenFiles(files) }
  const keyFile = join(folder, 'job.json')
  const first = project()
  const agent = workload(`${jobAgent}/43`, attestation, workloadKey(keyFile))
  const grantId = await granted(agent)
  await acts(agent, grantId)
  whole.time.ahead += 2000 // the next token differs
  const second = project()
  // As after a restart: it has the same key, and no credential.
  const again = workload(`${jobAgent}/43`, attestation, workloadKey(keyFile))
  await acts(again, grantId)
  expect(await attestedBy(grantId)).toEqual([first, second])
})

it('a laptop joins with the operator’s token: each service sees its own half (V10)', async () => {
  const id = `${joinAgent}/sdk`
  const halves = { approval: 'secret-for-approval', issuer: 'secret-for-issuer' }
  for (const [service, secret] of Object.entries(halves)) {
    const payload = { instance: id, token_hash: sha256(secret), minutes: 10 }
    const url = `/operator/join-tokens/${service}`
    expect((await whole.system.host.operator.inject({ method: 'POST', url, payload })).statusCode).toBe(200)
  }
  const attestation = { kind: 'join_token', token: joinToken(`${halves.approval}.${halves.issuer}\n`) } as const
  const agent = workload(id, attestation)
  const grantId = await granted(agent)
  await acts(agent, grantId)
  await renewed(agent, grantId)
  await acts(agent, grantId)
  expect(new Set(await attestedBy(grantId))).toEqual(new Set([sha256(halves.issuer)]))
  const thief = workload(id, attestation)
  await expect(
    thief.request({ authority: sampleAuthority, mode: 'window', expiresInSeconds: 600 }),
  ).rejects.toMatchObject({ code: 'token_replayed' })
  await expect(thief.credential({ grantId })).rejects.toMatchObject({ code: 'caller_unauthenticated' })
})

it('a request signed earlier is the same task, even with a newer token next to it', async () => {
  const id = `${podAgent}/twice`
  let n = 0
  const token: TokenSource = ({ audience }) =>
    authority.svid(whole.system, id, { aud: [audience], jti: `twice-${n++}` })
  const agent = workload(id, { kind: 'jwt_svid', token })
  const signed = agent.signRequest({ authority: sampleAuthority, mode: 'window', expiresInSeconds: 1200 })
  const first = await agent.request(signed)
  expect(await agent.request(signed)).toMatchObject({ requestId: first.requestId, status: 'pending' })
  await agent.cancel(first.requestId)
})
