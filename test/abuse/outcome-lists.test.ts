import { generateKey, type Outcome, outcomeHash, signCallerAssertion, signOutcome } from '@bailiwick/credentials'
import { newId } from '@bailiwick/kit'
import { sample, sampleKey } from '@bailiwick/standalone/sample'
import { expect, it } from 'vitest'
import { adjust, Point } from '../e2e/agent-side.ts'
import { granted } from '../e2e/granted.ts'
import { callsOnly } from '../e2e/two-points.ts'
import type { World } from '../e2e/world.ts'

/** One start of the sample's enforcement point: the calls that it was allowed, and the outcomes that it signs for them. */
class Instance {
  readonly name: string
  readonly #world: World
  readonly #point: Point
  #previous: string | undefined
  #sequence = 0

  constructor(world: World, name: string) {
    this.#world = world
    this.#point = new Point(world)
    this.name = name
  }

  assertion(): string {
    const { clock, random, url, data } = this.#world
    const iat = Math.floor(clock.now() / 1000)
    const jti = newId('call', clock.now(), random)
    const claims = { iss: sample.enforcementPoint, sub: sample.enforcementPoint, aud: url, iat, exp: iat + 60, jti }
    return signCallerAssertion({ ...claims, instance: this.name }, sampleKey(data, 'point-caller'))
  }

  async allowed(credential: string): Promise<Pick<Outcome, 'decision_id' | 'call_id' | 'action_digest'>> {
    const call_id = newId('call', this.#world.clock.now(), this.#world.random)
    const ask = { credential, ...adjust('1'), observed: { call_id }, caller: this.assertion() }
    const { decision, decisionId: decision_id, actionHash: action_digest, context } = await this.#point.call(ask)
    if (!decision) throw new Error(JSON.stringify(context))
    return { decision_id, call_id, action_digest }
  }

  /** Signs the next outcome of its chain, unless the caller overrides a member. */
  sign(of: object, over: Partial<Outcome> = {}, key = sampleKey(this.#world.data, 'point-outcome')): string {
    const next = this.#sequence + 1
    const place = { sequence: next, answered: 0, ...(this.#previous === undefined ? {} : { previous: this.#previous }) }
    const claims = {
      ...{ installation: this.#world.trust.installation, enforcement_point: sample.enforcementPoint },
      ...{ instance: this.name, ...place, status: 'succeeded', at: new Date(this.#world.clock.now()).toISOString() },
    }
    const signed = signOutcome({ ...claims, ...of, ...over } as Outcome, key)
    if (Object.keys(over).length === 0 && key.kid === sampleKey(this.#world.data, 'point-outcome').kid) {
      this.#sequence = next
      this.#previous = outcomeHash(signed)
    }
    return signed
  }

  async report(outcomes: unknown): Promise<{ status: number; results: { status: number; code?: string }[] }> {
    const answer = await this.#world.http.inject({
      method: 'POST',
      url: '/v1/outcomes',
      headers: { authorization: `Bearer ${this.assertion()}`, 'content-type': 'application/json' },
      payload: JSON.stringify({ outcomes }),
    })
    return { status: answer.statusCode, results: answer.json().results }
  }
}

it('each outcome of a list is accepted or refused independently of the others (V10, V15, V18)', async () => {
  await using system = await granted({}, { authority: callsOnly(200) })
  const { world, credential } = system
  const [one, two] = [new Instance(world, `${'I'.repeat(21)}A`), new Instance(world, `${'J'.repeat(21)}A`)]
  const allowed = async (by: Instance, count: number) => {
    const of = []
    while (of.length < count) of.push(await by.allowed(credential))
    return of
  }
  const [first = {}, second = {}, third = {}, fourth = {}] = await allowed(one, 4)
  const [others = {}, last = {}] = await allowed(two, 2)
  // In the order in which its instance signed them.
  const [i1, i2, i3] = [first, second, third].map((of) => one.sign(of)) as [string, string, string]
  const [j1, j2] = [others, last].map((of) => two.sign(of)) as [string, string]
  const list: [what: string, item: unknown, status: number, code?: string][] = [
    ['of another instance of the point', j1, 204],
    ['before the ones that it follows', i3, 204],
    ['the first of its instance', i1, 204],
    ['the same again', i1, 204],
    ['nothing', null, 400, 'request_malformed'],
    ['no compact JWS', { outcome: i2 }, 400, 'request_malformed'],
    ['one that is too long', `${'a'.repeat(40_000)}.b.c`, 400, 'request_malformed'],
    ['one that cannot be read', 'a.b.c', 401, 'token_malformed'],
    ['signed by a stranger', one.sign(second, {}, generateKey('outcome')), 401, 'key_unknown'],
    ["another point's", one.sign(second, { enforcement_point: 'another-point' }), 401, 'key_unknown'],
    ['another of the first decision', one.sign(first, { status: 'not_executed' }), 409, 'outcome_mismatch'],
    ['another under the first number', one.sign(fourth, { sequence: 3 }), 409, 'outcome_sequence_reused'],
    ["of the other instance's decision", one.sign(last, { sequence: 9 }), 409, 'outcome_mismatch'],
    ['of an unknown decision', one.sign({ ...first, decision_id: `dec_${'9'.repeat(26)}` }, { sequence: 8 }), 404],
    ['the second of its instance', i2, 204],
    ['the last', j2, 204],
  ]
  const told = await one.report(list.map(([, item]) => item))
  expect(told.status).toBe(200)
  expect(told.results.map(({ status }, n) => [list[n]?.[0], status])).toEqual(
    list.map(([what, , status]) => [what, status]),
  )
  for (const [n, [, , , code]] of list.entries()) if (code) expect(told.results[n]).toMatchObject({ code })
  const standing = () => {
    const decisions = world.pdp.pdp.projection.ledger.decisions as never as Ledger
    const of = [first, second, third, fourth, others, last] as { decision_id: string }[]
    return of.map(
      ({ decision_id }) => decisions.trees.get(decisions.rootOf(decision_id))?.allows.get(decision_id)?.standing,
    )
  }
  expect(standing()).toEqual(['settled', 'settled', 'settled', 'open', 'settled', 'settled'])
  // A caller cannot make it process more than one list's limit. A list that is refused whole is not processed at all.
  const fourths = one.sign(fourth)
  for (const [many, status] of [
    [Array(10_000).fill(fourths), 413],
    [Array(10_000).fill('a.b.c'), 400],
    [Array(129).fill(fourths), 400],
    [[...Array(128).fill('a.b.c'), fourths], 400],
    [[], 400],
  ] as const)
    expect((await one.report(many)).status).toBe(status)
  expect(standing()[3]).toBe('open')
  // All of them again, from the other instance and in another order: the answers are the same.
  const again = await two.report([j2, i2, fourths, j1, i3, i1, i1])
  expect(again.results).toEqual(Array(7).fill({ status: 204 }))
  expect(standing()[3]).toBe('settled')
}, 120_000)

interface Ledger {
  trees: Map<string | undefined, { allows: Map<string, { standing: string }> }>
  rootOf(decisionId: string): string | undefined
}
