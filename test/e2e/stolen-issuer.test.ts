import { actionDigest } from '@bailiwick/credentials'
import { sample } from '@bailiwick/standalone/sample'
import { expect, it } from 'vitest'
import { credentialFor, Point, read } from './agent-side.ts'
import { type Ask, People } from './people.ts'
import { Thief } from './thief.ts'
import { eventually, World } from './world.ts'

/** Three calls that wait in their tree's order behind one whose decision is not durable yet. */
async function waiting(ask: Ask) {
  const gate = Promise.withResolvers<void>()
  let held = 0
  const world = await World.open({
    wrapRecord: (record) => async (drafts) => {
      if (drafts.some(({ type }) => type === 'decision.allowed') && held++ === 0) await gate.promise
      return record(drafts)
    },
  })
  const grant = await (await People.enrolled(world)).grant(ask)
  const credential = await credentialFor(world, grant.grantId)
  const point = new Point(world)
  const other = { tool: 'delete', properties: { id: '7' } }
  await point.call({ credential, ...other }) // denied, and fetches the nonce
  const first = point.once({ credential, ...read })
  await eventually(() => held === 1 || undefined)
  const others = [1, 2, 3].map(() => point.once({ credential, ...read }))
  const thief = await Thief.of(world, 'issuer')
  const tree = () => world.pdp.pdp.projection.ledger.grants.trees.get(grant.grantId)
  /** Publishes as a thief with the issuer's key. Resolves once the decision point has folded it. */
  const rebound = async (changes: object) => {
    const known = tree()
    if (!known) throw new Error('no tree')
    const draft = { subject: known.id, version: known.version + 1, data: { grant: { ...known.grant, ...changes } } }
    const [said] = await thief.producer.publish('grants.v1', [{ ...draft, type: 'grant.rebound' }])
    if (said) await world.pdp.pdp.projection.waitFor(said.position, 60_000)
    return said?.verdict
  }
  const answers = async () => {
    gate.resolve()
    return Promise.all([first, ...others])
  }
  const callAnew = async () => point.call({ credential: await credentialFor(world, grant.grantId), ...read })
  return { rebound, answers, callAnew, [Symbol.asyncDispose]: () => world[Symbol.asyncDispose]() }
}

it('a stolen issuer cannot change a grant under calls that wait in its tree’s order (V3, V10)', async () => {
  const resource = { type: 'tool', id: `${sample.toolServer}/read` }
  const digest = actionDigest({ name: 'tools/call', properties: read.properties, resource })
  await using calls = await waiting({ mode: 'per_action', actionDigest: digest })
  expect(await calls.rebound({ mode: 'window' })).toBe('void')
  const answers = await calls.answers()
  expect(answers.filter(({ decision }) => decision)).toHaveLength(1)
  expect(answers.filter(({ reason }) => reason === 'uses_reserved')).toHaveLength(3)
})

it('a call proceeds only with the grant whose signatures were verified for it (V3)', async () => {
  await using calls = await waiting({})
  // The same grant published again: it differs only in that it has not been verified yet.
  expect(await calls.rebound({})).toBe('counts')
  expect((await calls.answers()).map(({ reason }) => reason)).toEqual(Array(4).fill('grant_agent_mismatch'))
  expect(await calls.callAnew()).toMatchObject({ decision: true })
})
