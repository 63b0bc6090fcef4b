import { exampleEvent } from '@bailiwick/contracts/examples'
import { generateKey } from '@bailiwick/credentials'
import { seededRandom } from '@bailiwick/kit'
import {
  type Bundle,
  bundleLines,
  encodeBundle,
  parseBundle,
  type Step,
  tell,
  tellMissing,
  verifyBundle,
  verifyBundleFile,
} from '@bailiwick/verify'
import { expect, it } from 'vitest'
import { type Lies, Story, told as tellStory } from '../trace/story.fixture.ts'
import { policyOf, witnessKeyOf } from '../witnesses/witness.fixture.ts'

/** The bundle of a story's first decision, as evidence returns it. */
async function proved(lies: Lies, use: (bundle: Bundle, story: Story) => Promise<void>): Promise<void> {
  await tellStory(lies, async (story, { decisions }, evidence) => {
    const { statusCode, body } = await evidence.http.inject({ method: 'GET', url: `/v1/bundle/${decisions[0]}` })
    expect(statusCode).toBe(200)
    await use(parseBundle(Buffer.from(body)), story)
  })
}

const textOf = ({ bytes }: Bundle['leaves'][number]) => Buffer.from(bytes).toString()
const isOf = (type: string) => (leaf: Bundle['leaves'][number]) => textOf(leaf).includes(`"type":"${type}"`)

it('proves one action from the log’s key alone, and tells it in plain words (V3)', async () => {
  await proved({}, async (bundle, story) => {
    const report = await verifyBundle(parseBundle(Buffer.from(encodeBundle(bundle))), { log: story.log })
    expect(report).toMatchObject({ ok: true })
    if (!report.ok) return
    expect(report.root).toBe(story.trust.root.jwk.x)
    expect(report.steps.map(({ kind }) => kind)).toEqual([
      'request',
      'approval',
      'grant',
      'credential',
      'decision',
      'outcome',
    ])
    const told = report.steps.map(tell).join('\n')
    expect(told).toMatch(
      /fiona approved, with a passkey, exactly this: task reconcile-q3: \[.*invoices\.read.*\], from 2/,
    )
    expect(told).toContain('ALLOWED tools/call on tool invoices.read')
    expect(told).toContain('erp-gateway reported what came of it: succeeded')
    // The bundle must not reveal the other action of the task, or the other credential.
    expect(bundle.leaves.filter(isOf('decision.allowed'))).toHaveLength(1)
    expect(bundle.leaves.filter(isOf('credential.intended'))).toHaveLength(1)
  })
})

it('tells of a request all that followed from it, also what does not name it', async () => {
  await tellStory({}, async (story, { request_id }, evidence) => {
    const { body } = await evidence.operator.inject({ method: 'GET', url: `/v1/bundle/${request_id}` })
    const report = await verifyBundle(parseBundle(Buffer.from(body)), { log: story.log })
    if (!report.ok) return expect.fail(report.reason)
    expect(report.steps.map(({ kind }) => kind).filter((kind) => kind === 'outcome')).toHaveLength(2)
    expect(tellMissing(report.steps)).toEqual([])
  })
})

it('tells what was denied, and why', () => {
  const { data } = exampleEvent('decisions.v1', 'decision.denied')
  const told = tell({ type: 'decision.denied', time: '', subject: '', leaf_index: 7, data } as unknown as Step)
  expect(told).toMatch(new RegExp(`DENIED .+: ${Object(data).reason} \\(entry 7\\)$`))
})

it('brings the whole genesis, and is not believed without one of its rules: a stricter one may be what is missing (V3)', async () => {
  await proved({}, async (bundle, story) => {
    const rules = bundle.leaves.filter(isOf('rule.registered'))
    expect(rules.length).toBeGreaterThan(0)
    const trust = { log: story.log, root: story.trust.root.jwk.x }
    expect(await verifyBundle(bundle, trust)).toMatchObject({ ok: true })
    for (const left of [...rules, ...bundle.leaves.filter(isOf('policy-set.registered'))]) {
      const leaves = bundle.leaves.filter((leaf) => leaf !== left)
      expect(await verifyBundle({ ...bundle, leaves }, trust)).toMatchObject({ ok: false })
    }
  })
})

it('says so when what came of the action is not in the bundle', async () => {
  await proved({}, async (bundle, story) => {
    const leaves = bundle.leaves.filter((leaf) => !isOf('outcome.reported')(leaf))
    const [whole, less] = [
      await verifyBundle(bundle, { log: story.log }),
      await verifyBundle({ ...bundle, leaves }, { log: story.log }),
    ]
    if (!whole.ok || !less.ok) return expect.fail('both are proved')
    expect(tellMissing(whole.steps)).toEqual([])
    expect(tellMissing(less.steps)).toEqual([expect.stringMatching(/^What came of dec_\w+ is NOT in this bundle/)])
  })
})

it('proves nothing once any part was changed, left out, or taken from another story (V3, V14)', async () => {
  await proved({}, async (bundle, story) => {
    const check = (change: Partial<Bundle>, by: Parameters<typeof verifyBundle>[1] = { log: story.log }) =>
      verifyBundle({ ...bundle, ...change }, by)
    const without = (type: string) => ({ leaves: bundle.leaves.filter((leaf) => !isOf(type)(leaf)) })
    const changed = (type: string, from: string, to: string) => ({
      leaves: bundle.leaves.map((leaf) =>
        isOf(type)(leaf) ? { ...leaf, bytes: Buffer.from(textOf(leaf).replace(from, to)) } : leaf,
      ),
    })
    for (const [type, from, to] of [
      ['decision.allowed', 'invoices.read', 'invoices.burn'],
      ['outcome.reported', 'succeeded', 'failed'],
      ['approver.registered', 'Fiona', 'Mallory'],
    ] as const)
      expect(await check(changed(type, from, to))).toMatchObject({ ok: false, reason: 'inclusion_unproved' })
    expect(await check({ leaves: bundle.leaves.map((leaf) => ({ ...leaf, index: leaf.index + 1 })) })).toMatchObject({
      reason: 'inclusion_unproved',
    })
    expect(await check({ leaves: [...bundle.leaves, ...bundle.leaves] })).toMatchObject({ ok: false })
    for (const type of [
      'approver.registered',
      'agent.registered',
      'service-key.registered',
      'enforcement-point.registered',
    ])
      expect(await check(without(type)), type).toMatchObject({ ok: false })
    for (const type of ['request.received', 'request.approved', 'grant.created', 'credential.intended'])
      expect(await check(without(type)), type).toMatchObject({ ok: false })
    expect(await check({ checkpoint: bundle.checkpoint.replace(/\n\d+\n/, '\n9999\n') })).toMatchObject({
      reason: 'signature_invalid',
    })
    using other = new Story()
    expect(await check({}, { log: other.log })).toMatchObject({ reason: 'signature_missing' })
    expect(await check({ trust: other.trust })).toMatchObject({ reason: 'trust_invalid' })
    const root = { ...story.trust, root: other.trust.root }
    expect(await check({ trust: root })).toMatchObject({ ok: false })
    const policy = policyOf(1, { party: { key: witnessKeyOf(1).verifier, url: 'http://127.0.0.1:1' } })
    expect(await check({}, { log: story.log, policy })).toMatchObject({ reason: 'quorum_missing' })
    expect(await check({ about: 'dec_00000000000000000000000000' })).toMatchObject({ reason: 'entity_unknown' })
  })
})

it.each<[string, Lies, string]>([
  ['a grant that says more than was approved', { grant: (grant) => ({ ...grant, as_of: 9 }) }, 'statement_unknown'],
  ['an outcome that the decision point made up', { outcomeKey: generateKey('outcome') }, 'key_unknown'],
  ['a credential without an intent (V4)', { withoutIntent: true }, 'credential_unrecorded'],
])('does not prove %s (V3)', async (_, lies, reason) => {
  await proved(lies, async (bundle, story) => {
    expect(await verifyBundle(bundle, { log: story.log })).toMatchObject({ ok: false, reason })
  })
})

it('shows a rule of the genesis that was left out, and cannot show a stricter one that came later (V3)', async () => {
  await proved({}, async (bundle, { log }) => {
    const leaves = bundle.leaves.filter((leaf) => !isOf('rule.registered')(leaf))
    expect(await verifyBundle({ ...bundle, leaves }, { log })).toMatchObject({ ok: false })
  })
  await proved({ stricter: true }, async (bundle, { log }) => {
    expect(await verifyBundle(bundle, { log })).toMatchObject({ ok: false })
    const leaves = bundle.leaves.filter((leaf) => !textOf(leaf).includes('"two-people"'))
    expect(leaves).toHaveLength(bundle.leaves.length - 1)
    // Only a reader of the whole log can see that one. The page and the command say so.
    expect(await verifyBundle({ ...bundle, leaves }, { log })).toMatchObject({ ok: true })
  })
})

it('proves nothing of a stranger who made all of it, root key, log and people (V3)', async () => {
  await proved({}, async (bundle, stranger) => {
    using ours = new Story()
    const report = await verifyBundle(bundle, { log: stranger.log, root: ours.trust.root.jwk.x })
    expect(report).toEqual({ ok: false, reason: 'root_differs' })
    const known = await verifyBundle(bundle, { log: stranger.log, root: stranger.trust.root.jwk.x })
    expect(known).toMatchObject({ ok: true, root_checked: true })
    expect(await verifyBundle(bundle, { log: stranger.log })).toMatchObject({ ok: true, root_checked: false })

    const told = bundleLines('bundle.json', bundle.about, report)
    expect(told).toEqual(['bundle.json: proves NOTHING (root_differs)'])
  })
}, 120_000)

it.each([
  ['nothing', '', 'not JSON'],
  ['no JSON', 'hello', 'not JSON'],
  ['another object', '{}', 'v: '],
  ['a duplicate member', '{"v":1,"v":1}', 'a duplicate key'],
])('is no bundle: %s', async (_, text, why) => {
  using story = new Story()
  const { report } = await verifyBundleFile(Buffer.from(text), { log: story.log })
  expect(report).toMatchObject({ ok: false, reason: 'request_malformed', detail: expect.stringContaining(why) })
})

it('names the entry whose hash is spelled in another way, which decodes to the same bytes (V14)', async () => {
  await proved({}, async (bundle, { log }) => {
    const text = JSON.parse(encodeBundle(bundle))
    const at = bundle.leaves.findLastIndex(({ proof }) => proof.length > 0)
    // In base64, 32 bytes leave two bits of the last character that decoders ignore.
    const respelt = (hash: string) => hash.replace(/(.)=$/, (_all, last) => `${nextCharacter(last)}=`)
    text.leaves[at].proof[0] = respelt(text.leaves[at].proof[0])
    expect(Buffer.from(text.leaves[at].proof[0], 'base64')).toEqual(Buffer.from(bundle.leaves[at]?.proof[0] ?? []))
    const { report } = await verifyBundleFile(Buffer.from(JSON.stringify(text)), { log })
    const detail = `leaves[${at}].proof[0] (entry ${bundle.leaves[at]?.index}): not the canonical base64 of 32 bytes`
    expect(report).toEqual({ ok: false, reason: 'request_malformed', detail })
  })
})

const base64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
const nextCharacter = (character: string) => base64[base64.indexOf(character) + 1] ?? ''

it('proves nothing of a file in which any one character was changed, and says why (V3, V14)', async () => {
  await proved({}, async (bundle, { log, trust }) => {
    const text = encodeBundle(bundle)
    const random = seededRandom(17)
    const pick = (below: number) => Buffer.from(random(4)).readUInt32LE() % below
    for (let n = 0; n < 150; n++) {
      const at = pick(text.length)
      const put = base64[pick(base64.length)] ?? ''
      if (put === text[at]) continue
      const changed = text.slice(0, at) + put + text.slice(at + 1)
      const by = { log, root: trust.root.jwk.x }
      const { report } = await verifyBundleFile(Buffer.from(changed), by)
      expect(report, `${text.slice(at - 30, at)}»${text[at]}«→${put}`).toMatchObject({ ok: false })
      if (!report.ok) expect(report.reason).toMatch(/^[a-z_]+$/)
    }
  })
})
