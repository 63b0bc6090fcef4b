import { createServer } from 'node:http'
import { readJsonView, systemClock, systemRandom } from '@bailiwick/kit'
import { memoryOutcomeStore, openEnforcementPoint } from '@bailiwick/pep'
import { httpUpstream, openRelay, openSecrets, relayListener, type Upstream } from '@bailiwick/relay'
import { sample, sampleAuthority, sampleKey } from '@bailiwick/standalone/sample'
import { sampleAgent } from '@bailiwick/standalone/sample-agent'
import { enrolApprover, startSystem } from '@bailiwick/testkit'
import { expect, it } from 'vitest'
import { answered, eventually, projectAdapters, undecided } from './scene.ts'

// Answers that flow through a relay, against people who withdraw what allowed them.

/** An API whose answers never end, and how many of them flow. */
async function endless() {
  const sockets = new Set<object>()
  let asked = 0
  const server = createServer((_request, response) => {
    asked++
    sockets.add(response)
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    const timer = setInterval(() => response.write('data: {"tick":1}\n\n'), 20)
    response.on('close', () => {
      clearInterval(timer)
      sockets.delete(response)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${Object(server.address()).port}`,
    flowing: () => sockets.size,
    asked: () => asked,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** The sample's tool server as an upstream: `POST /read` is its tool `read`. */
function toolsAt(url: string): Upstream {
  const http = httpUpstream({ name: sample.toolServer, url, secrets: openSecrets() })
  return {
    toAction({ target, body }) {
      const view = readJsonView(body)
      if ('refused' in view) return view
      const id = `${sample.toolServer}${target}`
      return { name: 'tools/call', properties: view.value as Record<string, unknown>, resource: { type: 'tool', id } }
    },
    execute: (permitted, request) => http.execute(permitted, request),
    [Symbol.asyncDispose]: () => http[Symbol.asyncDispose](),
  }
}

/** A system with a relay where its invoices API is, and the people and programs that use it. */
async function relayed() {
  await using opening = new AsyncDisposableStack()
  const { adapters } = opening.use(await projectAdapters())
  const env = { BAILIWICK_DECISION_DEADLINE: '10s', BAILIWICK_MAX_STALENESS: '10s' } // a busy machine is not a failure
  const system = opening.use(await startSystem({ env, ...(adapters && { adapters }) }))
  const approver = await answered(() => enrolApprover(system))
  const behind = opening.use(await endless())
  const upstream = opening.use(toolsAt(behind.url))
  const point = opening.use(
    await openEnforcementPoint({
      ...{ id: sample.enforcementPoint, trust: system.trust, pdpUrl: system.url, store: memoryOutcomeStore() },
      callerKey: sampleKey(system.data, 'point-caller'),
      outcomeKey: sampleKey(system.data, 'point-outcome'),
      now: systemClock.now,
      random: systemRandom,
      timeoutMs: 12_000,
      maxSilenceMs: 20_000,
    }),
  )
  const listener = relayListener({ relay: openRelay({ point, upstream }), baseUrl: system.invoicesUrl })
  const server = createServer((request, response) => void listener(request, response))
  await new Promise<void>((resolve) => server.listen(Number(new URL(system.invoicesUrl).port), '127.0.0.1', resolve))
  opening.defer(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  const agent = sampleAgent(system.host, 'reconciler')
  let asks = 0

  async function granted(): Promise<string> {
    const signed = agent.signRequest({
      ...{ authority: sampleAuthority, mode: 'window', expiresInSeconds: 3000 + ++asks },
    } as never)
    const { requestId } = await answered(() => agent.request(signed))
    const { grant_id } = await answered(() => approver.approve(requestId))
    if (grant_id === undefined) throw new Error('there is no grant')
    return grant_id
  }

  /** An answer that flows, once its first event is there. A machine that is too busy to decide is asked again. */
  async function flowing(grantId: string): Promise<Stream> {
    return eventually('it flows', async () => {
      const resource = { type: 'tool', id: `${sample.toolServer}/read` }
      const properties = { invoice: `INV-${++asks}` }
      const call = { grant: { grantId }, action: 'tools/call', resource, properties }
      const response = await agent.fetch(`${system.invoicesUrl}/read`, { method: 'POST' }, call)
      if (response.status !== 200) {
        const { code = '' } = (await response.json()) as { code?: string }
        if (!undecided.has(code)) throw new Error(`it does not flow: ${code}`)
        return undefined
      }
      const reader = (response.body as ReadableStream<Uint8Array>).getReader()
      await reader.read()
      let ended = false
      const reading = (async () => {
        for (;;) if ((await reader.read()).done) return
      })()
      reading
        .catch(() => undefined)
        .finally(() => {
          ended = true
        })
      return {
        decisionId: response.headers.get('bailiwick-decision-id') ?? '',
        end: () => reading,
        isOver: () => ended,
      }
    })
  }

  /** Retries while a busy machine holds the issuer up. */
  const revoke = (kind: string, target: string) =>
    eventually('it is revoked', async () => {
      const asked = { method: 'POST', url: '/operator/revocations', payload: { kind, target } } as const
      return (await system.host.operator.inject(asked)).statusCode === 200
    })
  /** What the outcome of a decision says, once it counts. */
  const outcomeOf = (decisionId: string) =>
    eventually('its outcome is in the log', async () => {
      const events: { type: string; data: { decision_id: string; outcome: string } }[] = []
      await using follower = await system.host.bus.follow(['decisions.v1'], 'start', async (batch) => {
        for (const { bytes } of batch) events.push(JSON.parse(Buffer.from(bytes).toString()))
      })
      await follower.caughtUp
      const found = events.find(({ type, data }) => type === 'outcome.reported' && data.decision_id === decisionId)
      return found && JSON.parse(Buffer.from(found.data.outcome.split('.')[1] ?? '', 'base64url').toString())
    })
  const owned = opening.move()
  return {
    ...{ system, behind, agent, granted, flowing, revoke, outcomeOf },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

interface Stream {
  decisionId: string
  /** Rejects if the answer is cut. */
  end(): Promise<void>
  isOver(): boolean
}

it('cuts the answers of a grant that is withdrawn and no others, says so, and begins no more (V7)', async () => {
  await using w = await relayed()
  const [one, other] = [await w.granted(), await w.granted()]
  const [first, second] = [await w.flowing(one), await w.flowing(one)]
  const third = await w.flowing(other)
  await w.revoke('grant', one)
  await expect(first.end()).rejects.toThrow()
  await expect(second.end()).rejects.toThrow()
  expect(third.isOver()).toBe(false)
  for (const { decisionId } of [first, second])
    expect(await w.outcomeOf(decisionId)).toMatchObject({ status: 'unknown', cut: 'grant_revoked', http_status: 200 })
  await expect.poll(() => w.behind.flowing()).toBe(1)
  const asked = w.behind.asked()
  await expect(w.flowing(one)).rejects.toThrow(/revoked/)
  expect(w.behind.asked()).toBe(asked)
  await w.revoke('all', '*')
  await expect(third.end()).rejects.toThrow()
  expect(await w.outcomeOf(third.decisionId)).toMatchObject({ status: 'unknown', cut: 'everything_revoked' })
  await expect.poll(() => w.behind.flowing()).toBe(0)
})

it('holds the outcome of an answer that flows for as long as it may, and its reservation no longer (V9)', async () => {
  await using w = await relayed()
  const grantId = await w.granted()
  const stream = await w.flowing(grantId)
  const { decisions } = w.system.services.policyDecision.pdp.projection.ledger
  const record = decisions.trees.get(grantId)?.allows.get(stream.decisionId)
  const grant = w.system.services.policyDecision.pdp.projection.ledger.grants.trees.get(grantId)?.grant
  const ends = Date.parse(grant?.not_after ?? '')
  expect(record?.outcomeDue).toBeGreaterThan((record?.at ?? 0) + 60_000)
  expect(record?.outcomeDue).toBeLessThanOrEqual(ends + 60_000)
  await w.revoke('grant', grantId)
  await expect(stream.end()).rejects.toThrow()
  await w.outcomeOf(stream.decisionId)
  await eventually('it is settled', () => decisions.trees.get(grantId)?.open === 0)
})
