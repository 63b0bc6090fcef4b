import { inspect } from 'node:util'
import type { EnforcementPoint, EnforcementPointOptions } from '@bailiwick/pep'
import { aPoint, FakePdp } from '@bailiwick/pep/fake-pdp'
import { describe, expect, it } from 'vitest'
import { openRelay, type Relayed } from './relay.ts'
import type { RelayRequest, Upstream } from './upstream.ts'

/** An adapter in front of a real upstream that records everything that reaches it. */
export interface UpstreamUnderTest extends AsyncDisposable {
  upstream: Upstream
  /** A request that takes effect and is answered at once; a different action for each `n`. */
  effect(n: number): RelayRequest
  /** A request whose answer begins at once, goes on and on, and never ends by itself. */
  flowing(): RelayRequest
  /** A request that the upstream takes and never answers. */
  silent(): RelayRequest
  /** A request on which the upstream breaks the connection before it answers. */
  broken(): RelayRequest
  /** Requests that stand for no action. */
  refused(): readonly RelayRequest[]
  /** Everything that the upstream received for each request, as Latin-1, without the opening of a connection or session. */
  arrived(): readonly string[]
  /** How the adapter writes the bytes of a request: they must arrive exactly so. */
  written(request: RelayRequest): string
  /** The secret that the upstream requires. */
  secret: string
  /** Makes the upstream stop listening. */
  vanish(): Promise<void>
}

const caller = { credential: 'a.b.c', proof: 'd.e.f', htu: 'https://api.example/call', callId: undefined }

interface World extends AsyncDisposable {
  it: UpstreamUnderTest
  pdp: FakePdp
  point: EnforcementPoint
  run(
    request: RelayRequest,
    more?: { callId?: string; gone?: AbortSignal },
  ): ReturnType<ReturnType<typeof openRelay>['run']>
}

/**
 * The port's other half: every adapter must pass it, with a real enforcement point in front of it and a real upstream behind it. `open`
 * returns an adapter that has no other users.
 */
export function upstreamContract(name: string, open: () => Promise<UpstreamUnderTest>): void {
  async function world(options: Partial<EnforcementPointOptions> = {}): Promise<World> {
    const it = await open()
    const pdp = await FakePdp.start()
    const point = await aPoint(pdp, options)
    const relay = openRelay({ point, upstream: it.upstream })
    return {
      ...{ it, pdp, point },
      run: (request, { callId, gone } = {}) => relay.run(request, { ...caller, callId }, gone),
      async [Symbol.asyncDispose]() {
        await point[Symbol.asyncDispose]()
        await it[Symbol.asyncDispose]()
        await pdp[Symbol.asyncDispose]()
      },
    }
  }

  /** What each outcome says, once there are as many. */
  async function outcomes({ pdp, point }: World, count = 1) {
    await expect.poll(() => pdp.outcomes.length).toBe(count)
    await point.delivered()
    return pdp.outcomes
  }

  describe(`${name} upstream`, () => {
    it('sends exactly the bytes that were decided on (V1)', async () => {
      await using w = await world()
      const request = w.it.effect(1)
      await read(await w.run(request))
      const [evaluation] = w.pdp.evaluations
      const action = w.it.upstream.toAction(request)
      expect({ ...evaluation?.action, resource: evaluation?.resource }).toEqual(action)
      expect(w.it.arrived()).toHaveLength(1)
      expect(w.it.arrived()[0]).toContain(w.it.written(request))
    })

    it('sends them even if their buffer is overwritten while the decision is made (V1)', async () => {
      await using w = await world()
      const request = w.it.effect(1)
      const written = w.it.written(request)
      w.pdp.answer = (evaluation) => {
        Buffer.from(request.body.buffer, request.body.byteOffset, request.body.length).fill('x')
        return w.pdp.allow(evaluation)
      }
      await read(await w.run(request))
      expect(w.it.arrived()).toHaveLength(1)
      expect(w.it.arrived()[0]).toContain(written)
    })

    it('gives the same bytes the same action, and sends nothing for it', async () => {
      await using w = await world()
      const { upstream } = w.it
      const first = structuredClone(upstream.toAction(w.it.effect(1)))
      for (const n of [2, 3]) expect(upstream.toAction(w.it.effect(n))).not.toEqual(first)
      expect(upstream.toAction(w.it.effect(1))).toEqual(first)
      expect(w.it.arrived()).toEqual([])
    })

    it.each<[string, (pdp: FakePdp) => FakePdp['answer']]>([
      ['a denial', () => () => ({ body: { decision: false, context: { reason: 'action_not_granted' } } })],
      ['a permit for another action', (pdp) => (asked) => pdp.allow(asked, { action_digest: 'A'.repeat(43) })],
      ['a permit for another instance', (pdp) => (asked) => pdp.allow(asked, { instance: 'B'.repeat(22) })],
      ['an obligation that is unknown', (pdp) => (asked) => pdp.allow(asked, { obligations: [{ type: 'dance' }] })],
      ['no answer that makes sense', () => () => ({ text: 'yes' })],
      ['an error', () => () => ({ status: 500 })],
    ])('sends nothing upon %s (V1)', async (_, answer) => {
      await using w = await world()
      w.pdp.answer = answer(w.pdp)
      expect(await w.run(w.it.effect(1))).toMatchObject({ allowed: false })
      expect(w.it.arrived()).toEqual([])
    })

    it('sends nothing of a request that stands for no action, and asks for no decision', async () => {
      await using w = await world()
      expect(w.it.refused()).not.toHaveLength(0)
      for (const request of w.it.refused())
        expect(await w.run(request)).toEqual({ refused: expect.any(String), detail: expect.any(String) })
      expect(w.it.arrived()).toEqual([])
      expect(w.pdp.evaluations).toEqual([])
    })

    it('executes an ALLOW once, however often its call comes (V10)', async () => {
      await using w = await world()
      let permit: ReturnType<FakePdp['allow']> | undefined
      w.pdp.answer = (asked) => {
        permit ??= w.pdp.allow(asked)
        return permit
      }
      const callId = 'call-0123456789abcdef'
      const request = w.it.effect(1)
      const tries = await Promise.all(Array.from({ length: 5 }, async () => read(await w.run(request, { callId }))))
      tries.push(await read(await w.run(request, { callId })))
      expect(tries.filter((each) => each.allowed === true)).toHaveLength(1)
      expect(w.it.arrived()).toHaveLength(1)
    })

    it('reports what happened when the answer is whole', async () => {
      await using w = await world()
      const { bytes } = await read(await w.run(w.it.effect(1)))
      expect(bytes.length).toBeGreaterThan(0)
      expect(await outcomes(w)).toMatchObject([{ status: 'succeeded', egress_bytes: bytes.length }])
    })

    it('sends nothing twice when the other side breaks off, and says that it does not know', async () => {
      await using w = await world()
      await expect(w.run(w.it.broken()).then(read)).rejects.toThrow(/^(upstream_failed|outcome_unknown)/)
      expect(await outcomes(w)).toMatchObject([{ status: 'unknown' }])
      expect(w.it.arrived()).toHaveLength(1)
    })

    it('says that nothing was done when the other side could not be reached', async () => {
      await using w = await world()
      await w.it.vanish()
      await expect(w.run(w.it.effect(1))).rejects.toThrow('upstream_unreachable')
      expect(await outcomes(w)).toMatchObject([{ status: 'not_executed' }])
      expect(w.it.arrived()).toEqual([])
    })

    it('gives the other side up when the client has gone', async () => {
      await using w = await world()
      const gone = new AbortController()
      const running = w.run(w.it.silent(), { gone: gone.signal })
      running.catch(() => undefined)
      await expect.poll(() => w.it.arrived().length).toBe(1)
      gone.abort()
      await expect(running).rejects.toThrow('outcome_unknown')
      expect(await outcomes(w)).toMatchObject([{ status: 'unknown' }])
    })

    it('reports an answer that its reader gave up', async () => {
      await using w = await world()
      const body = (await allowed(w.run(w.it.flowing()))).executed.body[Symbol.asyncIterator]()
      expect((await body.next()).done).toBe(false)
      await body.return?.()
      expect(await outcomes(w)).toMatchObject([{ status: 'unknown' }])
    })

    it('cuts an answer that flows when its grant is withdrawn (V7)', async () => {
      await using w = await world()
      const { executed, decisionId, over } = await allowed(w.run(w.it.flowing()))
      const body = executed.body[Symbol.asyncIterator]()
      expect((await body.next()).done).toBe(false)
      w.pdp.openCalls = () => ({ body: { over: [{ decision_id: decisionId, reason: 'grant_revoked' }], unknown: [] } })
      await over
      await expect(body.next()).rejects.toThrow('stream_cut: grant_revoked')
      expect(await outcomes(w)).toMatchObject([{ status: 'unknown', cut: 'grant_revoked' }])
    })

    it('cuts an answer when nothing fresh is heard of its grant (V8)', async () => {
      await using w = await world({ maxSilenceMs: 1500 })
      const { over, executed } = await allowed(w.run(w.it.flowing()))
      // Only now: on a busy machine, a server may take longer to begin its answer.
      w.pdp.openCalls = () => ({ status: 503, body: { code: 'queue_full' } })
      await over
      await expect(executed.body[Symbol.asyncIterator]().next()).rejects.toThrow('stream_cut: pdp_unavailable')
      expect(await outcomes(w)).toMatchObject([{ status: 'unknown', cut: 'pdp_unavailable', egress_bytes: 0 }])
    })

    it('cuts a call that is not answered when its grant is withdrawn (V7)', async () => {
      await using w = await world()
      w.pdp.openCalls = ([decision_id]) => ({ body: { over: [{ decision_id, reason: 'agent_revoked' }], unknown: [] } })
      await expect(w.run(w.it.silent())).rejects.toThrow('stream_cut: agent_revoked')
      expect(await outcomes(w)).toMatchObject([{ status: 'unknown', cut: 'agent_revoked' }])
    })

    it('cuts what flows when its enforcement point closes', async () => {
      await using w = await world()
      const { executed, over } = await allowed(w.run(w.it.flowing()))
      const body = executed.body[Symbol.asyncIterator]()
      await body.next()
      await w.point[Symbol.asyncDispose]()
      await over
      await expect(body.next()).rejects.toThrow('stream_cut: point_closed')
      expect(w.pdp.outcomes).toMatchObject([{ status: 'unknown', cut: 'point_closed' }])
    })

    it('lets no more bytes leave than the decision allows', async () => {
      await using w = await world()
      w.pdp.answer = (asked) => w.pdp.allow(asked, { obligations: [limit(1)] })
      await expect(w.run(w.it.effect(1)).then(read)).rejects.toThrow('answer_withheld')
      expect(await outcomes(w)).toMatchObject([{ status: 'succeeded', egress_bytes: 0 }])
      expect(w.it.arrived()).toHaveLength(1)
    })

    it('shows its secret to the other side alone (V17)', async () => {
      const problems: unknown[] = []
      await using w = await world({ onProblem: (problem) => problems.push(problem) })
      const answered = await read(await w.run(w.it.effect(1)))
      const broken = await w
        .run(w.it.broken())
        .then(read)
        .catch((error: unknown) => error)
      await w.it.vanish()
      const unreachable = await w.run(w.it.effect(2)).catch((error: unknown) => error)
      await outcomes(w, 3)
      expect(w.it.arrived()[0]).toContain(w.it.secret)
      const { evaluations, signed } = w.pdp
      const seen = [answered, broken, unreachable, w.it.upstream, problems, evaluations, signed]
      const text = `${inspect(seen, { depth: 20, showHidden: true })} ${JSON.stringify(seen)} ${signed.map(decoded)} ${answered.text}`
      expect(text).not.toContain(w.it.secret)
      expect(text).not.toContain(Buffer.from(w.it.secret).toString('base64').slice(0, -4))
    })
  })
}

const limit = (bytes: number) => ({
  id: 'limit',
  type: 'custom',
  properties: { vendor: 'bailiwick', action: 'limit', bytes },
})
const decoded = (jws: string) => Buffer.from(jws.split('.')[1] ?? '', 'base64url').toString()

async function allowed(running: ReturnType<ReturnType<typeof openRelay>['run']>): Promise<Relayed> {
  const relayed = await running
  if ('refused' in relayed || !relayed.allowed) throw new Error(`not allowed: ${JSON.stringify(relayed)}`)
  return relayed
}

/** Reads the answer to its end. */
async function read(relayed: Awaited<ReturnType<ReturnType<typeof openRelay>['run']>>) {
  if ('refused' in relayed || !relayed.allowed)
    return { ...relayed, allowed: false as const, bytes: Buffer.alloc(0), text: '' }
  const chunks: Uint8Array[] = []
  for await (const chunk of relayed.executed.body) chunks.push(chunk)
  const bytes = Buffer.concat(chunks)
  const { status, headers } = relayed.executed
  return { allowed: true as const, status, headers, bytes, text: bytes.toString('latin1') }
}
