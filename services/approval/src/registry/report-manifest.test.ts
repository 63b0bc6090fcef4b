import { hashedManifestText, type ToolServer } from '@bailiwick/contracts'
import { generateKey, jcs, type SigningKey, sha256, signCallerAssertion } from '@bailiwick/credentials'
import { systemClock, testClock } from '@bailiwick/kit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { answering, aWorld, origin, type World } from '../approval.fixture.ts'
import { aPerson, type Person } from '../browser.fixture.ts'

const keys = { gateway: generateKey('pep-caller'), other: generateKey('pep-caller'), narrow: generateKey('pep-caller') }
const outcome = generateKey('outcome')
const point = (id: keyof typeof keys, resources: object[]) => ({
  id,
  caller_jwk: keys[id].publicJwk as never,
  outcome_jwk: outcome.publicJwk as never,
  resources: resources as never,
  base_urls: [],
  may_release: true,
})
const path = '/v1/manifests'

/** An installation in which `gateway` stands before the server `invoices`. */
class Scene implements AsyncDisposable {
  readonly world: World
  readonly olga: Person
  readonly clock: ReturnType<typeof testClock>
  #serial = 0

  private constructor(world: World, clock: ReturnType<typeof testClock>) {
    this.world = world
    this.olga = aPerson(world)
    this.clock = clock
  }

  static async open(): Promise<Scene> {
    const clock = testClock(0)
    const world = await aWorld({
      clock,
      points: [
        point('gateway', [{ type: 'tool', id_prefix: 'invoices/' }]),
        point('other', [{ type: 'tool', id_prefix: 'billing/' }, { type: 'resource' }]),
        point('narrow', [{ type: 'tool', id: 'invoices/read' }]),
      ],
    })
    const scene = new Scene(world, clock)
    await scene.olga.enrol()
    return scene
  }

  assertion(id: keyof typeof keys, { aud = `${origin}${path}`, key = keys[id] as SigningKey<'pep-caller'> } = {}) {
    const iat = Math.floor((systemClock.now() + this.clock.now()) / 1000)
    return signCallerAssertion({ iss: id, sub: id, aud, iat, exp: iat + 60, jti: `report-${++this.#serial}` }, key)
  }

  async send(payload: object, assertion = this.assertion('gateway')) {
    const headers = { authorization: `Bearer ${assertion}` }
    const response = await this.world.http.inject({ method: 'POST', url: path, headers, payload })
    return { status: response.statusCode, ...response.json() }
  }

  /** As the gateway does: first the hash alone, then the texts that are wanted. */
  async report(manifest: object, more: object = {}) {
    const text = jcs(manifest)
    const report = { server: 'invoices', hash: hashOf(manifest) }
    const first = await this.send(report)
    return first.wanted?.includes(report.hash) ? this.send({ ...report, manifests: [text], ...more }) : first
  }

  get registered(): ToolServer | undefined {
    return this.world.issuer.projection.ledger.registry.get('tool-server', 'invoices')
  }

  async open(): Promise<string[]> {
    const { body } = await this.olga.get('/state')
    return (body.changes as { id: string }[]).map(({ id }) => id)
  }

  async later(ms: number): Promise<void> {
    this.clock.advance(ms)
    await answering(this.world)
    // The jump ended her session.
    await this.olga.signIn()
  }

  [Symbol.asyncDispose](): PromiseLike<void> {
    return this.world[Symbol.asyncDispose]()
  }
}

const hashOf = (manifest: object) => sha256(hashedManifestText(jcs(manifest)))
const manifestOf = (tools: Record<string, object>, more: object = {}) => ({
  identity: { url: 'http://localhost:8430/' },
  server_info: { name: 'invoices' },
  instructions: null,
  tools,
  prompts: {},
  templates: {},
  ...more,
})
const first = manifestOf({ read: { description: 'Reads.' }, pay: { description: 'Pays.' } })

describe('a report of what a server says of itself', () => {
  let scene: Scene
  beforeAll(async () => {
    scene = await Scene.open()
  })
  afterAll(() => scene[Symbol.asyncDispose]())

  it.each<[string, () => string]>([
    ['without an assertion', () => ''],
    ['with a foreign key', () => scene.assertion('gateway', { key: keys.other })],
    ['with an assertion for the decision point', () => scene.assertion('gateway', { aud: origin })],
    ['of an unregistered point', () => scene.assertion('stranger' as never, { key: keys.other })],
  ])('is refused %s', async (_, assertion) => {
    const report = { server: 'invoices', hash: hashOf(first) }
    expect(await scene.send(report, assertion())).toMatchObject({ status: 401, code: 'caller_unauthenticated' })
  })

  it.each(['other', 'narrow'] as const)(
    'is refused from a point that is not registered for the server (%s)',
    async (id) => {
      const report = { server: 'invoices', hash: hashOf(first), manifests: [jcs(first)] }
      expect(await scene.send(report, scene.assertion(id))).toMatchObject({ status: 403, code: 'caller_forbidden' })
    },
  )

  it('is refused about a server that people never registered', async () => {
    const report = { server: 'billing', hash: hashOf(first) }
    expect(await scene.send(report, scene.assertion('other'))).toMatchObject({ status: 404, code: 'entity_unknown' })
  })

  it.each<[string, unknown[]]>([
    ['another manifest', [jcs(manifestOf({ read: {} }))]],
    ['no JSON', ['{"identity":']],
    ['a member twice', [jcs(first).replace('{', '{"tools":{},')]],
    ['no manifest', ['{"tools":{}}']],
    ['too deep a one', [jcs(manifestOf({ read: JSON.parse(`${'{"a":'.repeat(70)}1${'}'.repeat(70)}`) }))]],
    ['too long a one', [jcs(manifestOf({ read: { description: 'x'.repeat(1_048_576) } }))]],
    ['three texts', Array(3).fill(jcs(first))],
  ])('is refused with the text of %s', async (_, manifests) => {
    const report = { server: 'invoices', hash: hashOf(first), manifests }
    expect(await scene.send(report)).toMatchObject({ status: 400, code: 'request_malformed' })
    expect(await scene.open()).toEqual([])
  })

  it('opens one change, which shows the text and which nothing but a signature makes hold (V3)', async () => {
    const before = scene.registered
    const guesses = { pay: { labels: ['writes'] }, read: { labels: ['reads_private'] }, gone: { labels: [] } }
    const opened = await scene.report(first, { guesses })
    expect(opened).toMatchObject({ status: 200, state: 'waiting', wanted: [before?.manifest] })
    // A replica, a second look and a hash alone find the same change.
    for (let n = 0; n < 3; n++) expect((await scene.report(first)).request_id).toBe(opened.request_id)
    expect(await scene.open()).toEqual([opened.request_id])
    expect(scene.registered).toEqual(before)

    const { body } = await scene.olga.get(`/requests/${opened.request_id}`)
    expect(body).toMatchObject({ proposer: 'gateway', may_approve: true, unexplained: [] })
    const [diff] = body.diff as { manifest: object; after: ToolServer }[]
    expect(diff?.manifest).toEqual({ before: null, after: jcs(first), look_alikes: [] })
    // People's own labels stay, regardless of the gateway's guess; a guess is marked as one; what is gone has no labels to pass on.
    expect(diff?.after).toEqual({
      id: 'invoices',
      url: 'http://localhost:8430/',
      manifest: hashOf(first),
      tools: { read: { labels: [] }, pay: { labels: ['writes', 'guessed'] } },
    })
    expect((await scene.olga.approve(opened.request_id)).body).toEqual({ status: 'approved', applied: true })
    await expect.poll(() => scene.registered).toEqual(diff?.after)
    await expect.poll(() => scene.report(first)).toMatchObject({ state: 'approved', wanted: [] })
  })

  it('gives a server that changes each moment one open change, of which the newest counts (V18)', async () => {
    await scene.later(300_000)
    const say = (n: number) => manifestOf({ read: { description: `Reads ${n}.` } })
    const one = await scene.report(say(1))
    expect(one).toMatchObject({ state: 'waiting' })
    for (let n = 2; n < 12; n++) expect(await scene.report(say(n))).toMatchObject({ state: 'later', request_id: null })
    expect(await scene.open()).toEqual([one.request_id])
    const statement = await scene.olga.statement(one.request_id)
    expect(statement.status).toBe(200)

    await scene.later(300_000)
    const next = await scene.report(say(12))
    expect(next).toMatchObject({ state: 'waiting' })
    expect(await scene.open()).toEqual([next.request_id])
    // The change on her screen is gone, and her signature counts for no part of the newer one.
    const assertion = scene.olga.passkey.sign(String(statement.body.challenge))
    const { statement_hash } = statement.body
    const late = await scene.olga.post(`/requests/${one.request_id}/approve`, { statement_hash, assertion })
    expect(late.status).toBeGreaterThanOrEqual(400)
    const { body } = await scene.olga.get(`/requests/${next.request_id}`)
    expect((body.diff as { manifest: object }[])[0]?.manifest).toMatchObject({
      before: jcs(first),
      after: jcs(say(12)),
    })
    // Of the ten in between, no text is kept.
    expect((await scene.send({ server: 'invoices', hash: hashOf(say(5)) })).wanted).toEqual([hashOf(say(5))])

    expect((await scene.olga.post(`/requests/${next.request_id}/deny`)).status).toBe(200)
    await scene.later(300_000)
    expect(await scene.report(say(12))).toMatchObject({ state: 'denied', request_id: next.request_id })
    expect(await scene.open()).toEqual([])
  })

  it('gives way to a change that a person proposes', async () => {
    await scene.later(300_000)
    const changed = manifestOf({ read: { description: 'Reads it all.' } })
    const reported = await scene.report(changed)
    const value = { ...scene.registered, manifest: hashOf(changed) }
    const payload = { proposer: 'carl', entities: [{ type: 'tool-server', id: 'invoices', value }] }
    const byHand = await scene.world.operator.inject({ method: 'POST', url: '/operator/registry/changes', payload })
    const { request_id } = byHand.json()
    expect(request_id).not.toBe(reported.request_id)
    expect(await scene.open()).toEqual([request_id])
    expect(await scene.report(changed)).toMatchObject({ state: 'waiting', request_id })
    // The text came with the report, so that the change by hand shows it too.
    const { body } = await scene.olga.get(`/requests/${request_id}`)
    expect((body.diff as { manifest?: object }[])[0]?.manifest).toMatchObject({ after: jcs(changed) })
  })

  it('cannot be approved without its text (V3)', async () => {
    const value = { ...scene.registered, manifest: hashOf(manifestOf({})) }
    const payload = { proposer: 'gateway', entities: [{ type: 'tool-server', id: 'invoices', value }] }
    const unseen = await scene.world.operator.inject({ method: 'POST', url: '/operator/registry/changes', payload })
    const { request_id } = unseen.json()
    expect((await scene.olga.get(`/requests/${request_id}`)).body).toMatchObject({
      may_approve: false,
      why_not: 'request_not_inspectable',
      unexplained: [expect.stringContaining('tool-server invoices')],
    })
    expect((await scene.olga.statement(request_id)).body).toMatchObject({ code: 'request_not_inspectable' })
  })

  it('has to wait if its point reports without end (V18)', async () => {
    const report = { server: 'invoices', hash: hashOf(first) }
    const answers = await Promise.all(Array.from({ length: 120 }, () => scene.send(report)))
    expect(answers.filter(({ code }) => code === 'rate_limited').length).toBeGreaterThan(0)
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200, 429]))
  })
})
