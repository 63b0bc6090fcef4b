import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { formAccount } from '@bailiwick/gateway/form-app'
import { logger } from '@bailiwick/host'
import { paths } from '@bailiwick/installation'
import { sampleAgent } from '@bailiwick/standalone/sample-agent'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { audit } from '../audit.ts'
import { sessionAuthority } from '../e2e/session-world.ts'
import { Secrets } from './find-secrets.ts'
import { eventually, pause, projectAdapters } from './scene.ts'
import { openSessionWorld, SessionAttacker } from './session-attacks.ts'

/* A session belongs to one grant: it is shared with no other, it ends with its grant, and its secrets stand nowhere. */

const lines: string[] = []
let at: Awaited<ReturnType<typeof openSessionWorld>>
const opened = new AsyncDisposableStack()
beforeAll(async () => {
  at = opened.use(
    await openSessionWorld({
      adapters: projectAdapters,
      logger: logger({ service: 'abuse', level: 'trace', destination: { write: (line) => void lines.push(line) } }),
    }),
  )
})
afterAll(() => opened.disposeAsync())

const sessionsAt = (path: string) => at.app.at(path).map(({ session }) => session?.id)

it('two grants of one agent, and two agents, never share a session', async () => {
  const [one, two] = [await SessionAttacker.open(at), await SessionAttacker.open(at)]
  const forecaster = sampleAgent(at.world.system.host, 'forecaster')
  const { grantId } = await at.world.granted(sessionAuthority, forecaster)
  const before = at.app.at('/records').length
  for (const each of [one, two, one, two])
    expect(await each.attack({ target: '/records' })).toMatchObject({ status: 200 })
  const third = await eventually('the other agent is answered', async () => {
    const response = await forecaster.fetch(
      `${at.world.url}/session/app/records`,
      {},
      { grant: { grantId }, patienceMs: 0 },
    )
    await response.body?.cancel()
    return response.status === 200 ? response : undefined
  })
  expect(third.status).toBe(200)
  const [a, b, again, bAgain, c] = sessionsAt('/records').slice(before)
  expect([again, bAgain]).toEqual([a, b])
  expect(new Set([a, b, c]).size).toBe(3)
})

it('an action is the agent’s in evidence, with the person who approved it, although the application sees its account', async () => {
  const attacker = await SessionAttacker.open(at)
  const done = await attacker.attack({ method: 'POST', target: '/records/1', body: 'text=traced&amount=1' })
  const [, decisionId] = /\r\nbailiwick-decision-id: (\S+)/i.exec(done.head) ?? []
  const steps = await eventually('the trace is whole', async () => {
    const response = await fetch(`${at.world.system.trust.public_url}/v1/trace/${decisionId}`)
    const read = (await response.json()) as { verified: boolean; steps?: { type: string; signed_by?: string[] }[] }
    const types = read.steps?.map(({ type }) => type) ?? []
    const isWhole = ['outcome.reported', 'request.approved', 'request.received'].every((type) => types.includes(type))
    return isWhole && read.verified ? read.steps : undefined
  })
  const signers = (type: string) => JSON.stringify(steps?.find((step) => step.type === type)?.signed_by)
  expect(signers('request.received')).toContain('reconciler')
  expect(signers('request.approved')).toContain('owner')
  expect(signers('outcome.reported')).toContain('gateway')
})

it('a withdrawal in the middle cuts the answer, and the gateway logs out at once (V7)', async () => {
  const attacker = await SessionAttacker.open(at)
  at.app.pages.set('/pages/flowing', (_, response) => {
    response.writeHead(200, { 'content-type': 'application/octet-stream' })
    const timer = setInterval(() => response.write('tick'), 20)
    response.on('close', () => clearInterval(timer))
  })
  await attacker.attack({ target: '/records' })
  const [own = ''] = sessionsAt('/records').slice(-1)
  const flowing = attacker.attack({ target: '/pages/flowing' })
  await eventually('it flows', () => (at.app.at('/pages/flowing').length > 0 ? true : undefined))
  await pause(500)
  await at.world.approver.withdraw(attacker.requestId)
  expect((await flowing).isWhole).toBe(false)
  await eventually('it logged out', () => (at.app.sessions.has(own) ? undefined : true))
  const { arrived, logins } = { arrived: at.app.arrived.length, logins: at.app.logins }
  expect(await attacker.attack({ target: '/records' })).toMatchObject({
    status: expect.any(Number),
    code: expect.stringMatching(/revoked/),
  })
  expect([at.app.arrived.length, at.app.logins]).toEqual([arrived, logins])
})

it('a session that waits for its next call ends with its grant (V7)', async () => {
  const attacker = await SessionAttacker.open(at)
  await attacker.attack({ target: '/records' })
  const [own = ''] = sessionsAt('/records').slice(-1)
  expect(at.app.sessions.has(own)).toBe(true)
  await at.world.approver.withdraw(attacker.requestId)
  await eventually('it logged out', () => (at.app.sessions.has(own) ? undefined : true))
})

it('a credential that was forged opens no session', async () => {
  const attacker = await SessionAttacker.open(at)
  const [head, , signature] = attacker.agent.token.split('.')
  const claims = JSON.parse(Buffer.from(attacker.agent.token.split('.')[1] ?? '', 'base64url').toString())
  const forged = `${head}.${Buffer.from(JSON.stringify({ ...claims, grant: { root: 'grt_forged' } })).toString('base64url')}.${signature}`
  const { arrived } = { arrived: at.app.arrived.length }
  const response = await fetch(`${at.world.url}/session/app/records`, {
    headers: {
      authorization: `DPoP ${forged}`,
      dpop: attacker.agent.proof('GET', `${at.world.url}/session/app/records`),
    },
  })
  expect(response.status).toBeGreaterThanOrEqual(400)
  expect(at.app.arrived).toHaveLength(arrived)
})

it('an application that logs everyone out at the same time is logged in to once for each grant', async () => {
  const attacker = await SessionAttacker.open(at)
  await attacker.attack({ target: '/records' })
  const before = at.app.logins
  at.app.sessions.clear()
  const answers = await Promise.all([1, 2, 3, 4].map(() => attacker.attack({ target: '/records' })))
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200])
  expect(at.app.logins).toBe(before + 1)
  at.app.sessions.clear()
  expect(await attacker.attack({ method: 'POST', target: '/records/1', body: 'text=later&amount=1' })).toMatchObject({
    status: 302,
  })
  expect(at.app.records.get('1')).toBe('later')
})

it('a table that people did not sign is of no use, and an entry that is gone logs out', async () => {
  const attacker = await SessionAttacker.open(at)
  await attacker.attack({ target: '/records' })
  const [own = ''] = sessionsAt('/records').slice(-1)
  const operations = {
    ...(at.entry.operations as object),
    change: { request: 'POST /records/{record}', body: { form: ['text', 'amount', 'is_admin'] } },
  }
  at.world.rewrite((mcp) => mcp, { session: { app: { ...at.entry, operations } } })
  expect(at.world.gateway.reload()).toBeUndefined()
  const before = at.app.at('/records/1').length
  const denied = await attacker.attack({ method: 'POST', target: '/records/1', body: 'text=x&amount=1&is_admin=1' })
  expect(denied).toMatchObject({ status: 403, code: 'manifest_changed' })
  expect(at.app.at('/records/1')).toHaveLength(before)
  await eventually('it logged out', () => (at.app.sessions.has(own) ? undefined : true))
  at.world.rewrite((mcp) => mcp, { session: {} })
  expect(at.world.gateway.reload()).toBeUndefined()
  expect((await attacker.attack({ target: '/records' })).status).toBe(404)
  at.world.rewrite((mcp) => mcp, { session: { app: at.entry } })
  expect(at.world.gateway.reload()).toBeUndefined()
})

it('a second factor at the login ends with a refusal that says so, and nothing was executed', async () => {
  const attacker = await SessionAttacker.open(at)
  at.app.afterLogin = (_, response) =>
    void response.writeHead(200, { 'content-type': 'text/html' }).end('<input name="otp" autocomplete="one-time-code">')
  const before = at.app.at('/records').length
  expect(await attacker.attack({ target: '/records' })).toMatchObject({ status: 502, code: 'session_mfa_required' })
  expect(at.app.at('/records')).toHaveLength(before)
  at.app.afterLogin = undefined
})

it('the secrets of all sessions stand in no log, no event and no file (V17)', async () => {
  const { data } = at.world.system
  const secrets = new Secrets()
  secrets.add('the password', formAccount.password)
  for (const secret of at.app.secrets) secrets.add('a session or token', secret)
  expect(secrets.kinds['a session or token']).toBeGreaterThan(20)
  expect(secrets.in(Buffer.from(lines.join('\n')))).toEqual([])
  const files = [data, at.world.folder].flatMap((folder) =>
    readdirSync(folder, { recursive: true }).map((name) => join(folder, String(name))),
  )
  const read = files.filter((path) => existsSync(path) && statSync(path).isFile())
  expect(read.length).toBeGreaterThan(5)
  for (const path of read) expect(secrets.in(readFileSync(path)), path).toEqual([])
  const { log, trust } = paths(data)
  const report = await eventually('the audit is in order', async () => {
    const seen = await audit({ logDir: log, trustPath: trust })
    return seen.findings.length === 0 ? seen : undefined
  })
  expect(report.findings).toEqual([])
})
