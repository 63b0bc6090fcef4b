import { mkdtempDisposableSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createAgent, denialOf } from '@bailiwick/agent'
import { generateKey } from '@bailiwick/credentials'
import { type Lies, type Story, told } from '@bailiwick/evidence/story-fixture'
import { sample } from '@bailiwick/standalone/sample'
import { parseVkey } from '@bailiwick/tlog'
import { verifyBundleFile } from '@bailiwick/verify'
import { beforeAll, describe, expect, it } from 'vitest'
import { eventually, Scene } from '../abuse/scene.ts'
import { asking, tool } from '../e2e/asking.ts'
import { passedOn, SubAgents } from '../e2e/sub-agents.ts'
import { missingPrograms, pythonWithPackages, run, verifiers } from './programs.ts'

const missing = missingPrograms().filter((program) => program.startsWith('python3'))

interface Keys {
  trust: Story['trust']
  log: Story['log']
}

/** Which of these bundles our verifier accepts, and which the one in Python, which shares no code with it, accepts. */
async function verdicts(texts: readonly string[], { trust, log }: Keys) {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'bundles-'))
  const files = texts.map((text, n) => {
    const file = join(folder.path, `${n}.json`)
    writeFileSync(file, text)
    return file
  })
  const root = trust.root.jwk.x
  const python = await pythonWithPackages(verifiers)
  const argv = [join(verifiers, 'verify_bundle.py'), ...files, `--vkey=${trust.log.vkey}`, `--root=${root}`]
  const { code, out, err } = await run(python, argv)
  expect(err).toBe('')
  const said = out.split('\n').filter((line) => line.startsWith(folder.path))
  const theirs = said.map((line) => line.includes(': proved, '))
  expect(code).toBe(theirs.every(Boolean) ? 0 : 1)
  const reports = await Promise.all(texts.map((text) => verifyBundleFile(Buffer.from(text), { log, root })))
  return { ours: reports.map(({ report }) => report.ok), theirs, said }
}

interface Json {
  about: string
  checkpoint: string
  trust: Record<string, unknown>
  leaves: { index: number; proof: string[]; event: string }[]
  values?: object[]
}

const isOf = (type: string) => (leaf: Json['leaves'][number]) => leaf.event.includes(`"type":"${type}"`)
const without = (type: string) => (bundle: Json) => {
  bundle.leaves = bundle.leaves.filter((leaf) => !isOf(type)(leaf))
}
const leafOf = (bundle: Json, type: string) => bundle.leaves.find(isOf(type)) as Json['leaves'][number]

const changes: [string, (bundle: Json) => unknown][] = [
  ['about something else', (bundle) => Object.assign(bundle, { about: 'dec_00000000000000000000000000' })],
  ['an unknown member', (bundle) => Object.assign(bundle, { more: 1 })],
  ['another version', (bundle) => Object.assign(bundle, { v: 2 })],
  ['an entry twice', ({ leaves }) => leaves.push(leaves[0] as never)],
  ['an entry at another place', ({ leaves: [leaf] }) => Object.assign(leaf ?? {}, { index: 1 })],
  ['a hash of a proof', ({ leaves }) => leaves.at(-1)?.proof.splice(0, 1, Buffer.alloc(32).toString('base64'))],
  ['a proof that is too short', ({ leaves }) => leaves.at(-1)?.proof.pop()],
  ['a proof that is too long', ({ leaves }) => leaves.at(-1)?.proof.push(Buffer.alloc(32).toString('base64'))],
  [
    'a larger tree',
    (bundle) => Object.assign(bundle, { checkpoint: bundle.checkpoint.replace(/\n\d+\n/, '\n9999\n') }),
  ],
  ['a member of trust.json', ({ trust }) => Object.assign(trust, { single_operator: trust.single_operator !== true })],
  [
    'a text that was never written',
    (bundle) => Object.assign(bundle, { values: [{ salt: 'A'.repeat(22), text: 'x' }] }),
  ],
  ...['request.received', 'request.approved', 'grant.created', 'credential.intended', 'agent.registered'].map(
    (type): [string, (bundle: Json) => unknown] => [`no ${type}`, without(type)],
  ),
  ...['rule.registered', 'approver.registered', 'enforcement-point.registered', 'service-key.registered'].map(
    (type): [string, (bundle: Json) => unknown] => [`no ${type}`, without(type)],
  ),
  [
    'what an entry says',
    (bundle) => {
      const leaf = leafOf(bundle, 'decision.allowed')
      leaf.event = leaf.event.replace('"tools/call"', '"tools/take"')
    },
  ],
]

const changed = (text: string, change: (bundle: Json) => unknown) => {
  const bundle = JSON.parse(text) as Json
  change(bundle)
  return JSON.stringify(bundle)
}

/** The bundle of a told story's first decision. */
async function provedOf(lies: Lies, use: (text: string, keys: Keys) => Promise<void>): Promise<void> {
  await told(lies, async (story, { decisions }, evidence) => {
    const { body } = await evidence.http.inject({ method: 'GET', url: `/v1/bundle/${decisions[0]}` })
    await use(body, story)
  })
}

describe.skipIf(process.env.CI !== 'true' && missing.length > 0)(
  'bundles, verified by a program that is not ours',
  () => {
    beforeAll(async () => void (await pythonWithPackages(verifiers)))

    it('accepts what our own verifier accepts, and nothing that was changed or left out (V3, V14)', async () => {
      await provedOf({}, async (text, keys) => {
        const texts = [text, ...changes.map(([, change]) => changed(text, change))]
        const { ours, theirs, said } = await verdicts(texts, keys)
        const expected = texts.map((_, n) => n === 0)
        expect(theirs, said.join('\n')).toEqual(expected)
        expect(ours).toEqual(expected)
      })
    })

    it.each<[string, Lies, RegExp]>([
      ['a grant that says more than was approved', { grant: (grant) => ({ ...grant, as_of: 9 }) }, /something else/],
      ['an outcome that the decision point made up', { outcomeKey: generateKey('outcome') }, /another key/],
      ['a credential without an intent (V4)', { withoutIntent: true }, /never recorded|other than|NOTHING/],
      ['an action beyond its bounds (V5)', { bound: { '/invoice': { max: '5' } } }, /argument_out_of_bounds/],
      ['an answer to another question', { answerTo: 'A'.repeat(43) }, /something else than was asked/],
      ['a rule that requires two people', { stricter: true }, /another|1 of 2/],
    ])('rejects %s (V3)', async (_, lies, why) => {
      await provedOf(lies, async (text, keys) => {
        const { theirs, ours, said } = await verdicts([text], keys)
        expect([theirs, ours]).toEqual([[false], [false]])
        expect(said[0]).toMatch(why)
      })
    })

    it.each<[string, Lies, boolean]>([
      ['accepts a revealed call that matches its decision', {}, true],
      ['rejects a revealed call with another argument than its decision has', { invoice: 'INV-2' }, false],
    ])('%s (V3)', async (_, lies, isProved) => {
      await told(lies, async (story, { decisions }, evidence) => {
        const { body } = await evidence.http.inject({ method: 'GET', url: `/v1/bundle/${decisions[0]}` })
        const shown = changed(body, (bundle) => Object.assign(bundle, { values: [story.calls[0]] }))
        const { theirs, ours, said } = await verdicts([body, shown], story)
        expect(theirs, said.join('\n')).toEqual([true, isProved])
        expect(ours).toEqual([true, isProved])
      })
    })

    it('accepts an action of a sub-agent, and one that people approved as a step-up (V3, V6)', async () => {
      const subAgents = new SubAgents(1)
      const entities = (all: Parameters<typeof subAgents.entities>[0]) => subAgents.entities(asking.entities(all))
      await using scene = await Scene.open({ ...asking, entities })
      const agent = scene.agent()
      const requestId = await scene.asked(agent, passedOn)
      const { grant_id: grantId = '' } = await scene.approver.approve(requestId)

      const { id, key } = subAgents.at(0)
      const { clock, random, trust } = scene.system.host
      const [agentId, instance] = [id.slice(0, id.lastIndexOf('/')), id.slice(id.lastIndexOf('/') + 1)]
      const { installation, public_url: baseUrl } = trust
      const helper = createAgent({ agentId, instance, key, installation, baseUrl, now: () => clock.now(), random })
      const authority = {
        ...passedOn,
        permissions: [passedOn.permissions[0]],
        budget: { calls: 2, cost: { EUR: '1.00' } },
      }
      const of = { grantId }
      const expiresAt = clock.now() + 600_000
      const { delegation } = await agent.delegate({ of, to: id, key: key.kid, authority, expiresAt })
      const read = { action: 'tools/call', resource: tool('read'), properties: { invoice: 'INV-4' } }
      const url = (name: string) => `${scene.invoices.url}/${name}`
      await eventually('the sub-agent reads', async () => {
        const response = await helper.fetch(url('read'), { method: 'POST' }, { grant: { delegation }, ...read })
        return response.status === 200
      })

      const properties = { invoice: 'INV-1', amount: '120.00', currency: 'EUR' }
      const adjust = { action: 'tools/call', resource: tool('adjust') }
      const denial = await eventually('it waits for a person', async () => {
        const said = await denialOf(await scene.call(agent, grantId, 'adjust', properties), adjust)
        return said?.reason === 'step_up_required' ? said : undefined
      })
      const one = { name: 'tools/call', resource: adjust.resource, properties }
      const ask = { authority: passedOn, mode: 'per_action' as const, expiresInSeconds: 600, action: one }
      const asked = await agent.request({ ...ask, grantId, answering: denial })
      await scene.approver.approve(asked.requestId)
      await eventually(
        'it goes on',
        async () => (await scene.call(agent, grantId, 'adjust', properties)).status === 200,
      )

      await scene.audited()
      const allowed = (await scene.events('decisions.v1')).filter(({ type }) => type === 'decision.allowed')
      expect(allowed).toHaveLength(2)
      const bundles = allowed.map(async ({ subject }) => {
        const answer = await scene.system.host.operator.inject({ method: 'GET', url: `/v1/bundle/${subject}` })
        return answer.body
      })
      const log = parseVkey(trust.log.vkey) as Keys['log']
      const texts = await Promise.all(bundles)
      const { ours, theirs, said } = await verdicts(texts, { trust, log })
      expect(theirs, said.join('\n')).toEqual([true, true])
      expect(ours).toEqual([true, true])
      expect(texts.map((text) => text.includes(sample.owner))).toEqual([true, true])
    })
  },
)
