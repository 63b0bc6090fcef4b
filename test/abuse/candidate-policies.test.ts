import { execFileSync } from 'node:child_process'
import { mkdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type PolicyFiles, paths, policySetOf, readPolicyFiles, storePolicyFiles } from '@bailiwick/installation'
import { expect, it } from 'vitest'
import { read } from '../e2e/agent-side.ts'
import { type Granted, granted } from '../e2e/granted.ts'
import { eventually } from '../e2e/world.ts'

const shipped = readPolicyFiles(join(import.meta.dirname, '../../policies'))
const schema = shipped.get('schema.cedarschema') ?? new Uint8Array()
const setOf = (text: string): PolicyFiles =>
  new Map([
    ['candidate.cedar', Buffer.from(text)],
    ['schema.cedarschema', schema],
  ])
const allowsAll = setOf('@id("all") permit (principal, action, resource);')
const deniesAll = setOf('@id("none") forbid (principal, action, resource);')
const errs = setOf(
  '@id("errs") forbid (principal, action, resource) when { 9223372036854775807 + context.grant.approvers > 0 };',
)
const deniesRead = new Map([
  ...shipped,
  ['no.cedar', Buffer.from('@id("no-read") forbid (principal, action, resource == tool::"invoices/read");')],
])

/** Puts a candidate next to the active set in one step, and waits until the decision point evaluates it. */
async function put({ world }: Granted, files: PolicyFiles): Promise<string> {
  const { hash } = policySetOf(files)
  const { candidate } = paths(world.data)
  storePolicyFiles(`${candidate}-next`, files)
  rmSync(candidate, { recursive: true, force: true })
  renameSync(`${candidate}-next`, candidate)
  await eventually(() => world.pdp.pdp.shadow.candidate === hash || undefined)
  return hash
}
const call = ({ point, credential }: Granted) => point.call({ credential, ...read })

/** The answer of a candidate to a decision, as the log has it. */
async function answerOn({ world }: Granted, decisionId: string) {
  return eventually(async () => {
    for (const event of await world.events('decisions.v1')) {
      if (event.type !== 'candidate.answered') continue
      const answer = event.data.answers.find(({ decision_id }) => decision_id === decisionId)
      if (answer) return { hash: event.data.candidate, ...answer }
    }
    return undefined
  })
}

it('a candidate that allows everything allows nothing that the active set denies; its answer is evidence (V3)', async () => {
  await using system = await granted({ policies: deniesRead })
  const hash = await put(system, allowsAll)
  const refused = await call(system)
  expect(refused).toMatchObject({ decision: false, reason: 'policy_denied' })
  expect(await answerOn(system, refused.decisionId)).toEqual({
    hash,
    decision_id: refused.decisionId,
    policy_set: policySetOf(deniesRead).hash,
    active: 'deny',
    candidate: 'allow',
    policies: ['all'],
  })
  expect(system.taken()).toBe(0n)
})

it.each([
  ['denies everything', deniesAll, 'deny', ['none']],
  ['errs at everything', errs, 'error', ['errs']],
] as const)('a candidate that %s denies nothing', async (_, files, candidate, policies) => {
  await using system = await granted()
  await put(system, files)
  const allowed = await call(system)
  expect(allowed).toMatchObject({ decision: true })
  expect(await answerOn(system, allowed.decisionId)).toMatchObject({ active: 'allow', candidate, policies })
  expect(system.taken()).toBe(1n)
})

it('a decision names the active set, and its event is the same with a candidate as without', async () => {
  await using system = await granted()
  const alone = await call(system)
  await put(system, deniesAll)
  const beside = await call(system)
  const members = async ({ decisionId }: { decisionId: string }) => Object.keys((await system.event(decisionId)).data)
  expect(await members(beside)).toEqual([...(await members(alone)), 'after'])
  const event = await system.event(beside.decisionId)
  expect(event).toMatchObject({ type: 'decision.allowed', data: { policy_set: policySetOf(shipped).hash } })
})

it('a candidate that changes meanwhile is named by the files that were evaluated', async () => {
  await using system = await granted()
  const first = await put(system, deniesAll)
  const one = await call(system)
  expect(await answerOn(system, one.decisionId)).toMatchObject({ hash: first, candidate: 'deny' })
  // Edited in place, not stored again.
  storePolicyFiles(paths(system.world.data).candidate, allowsAll)
  const second = policySetOf(allowsAll).hash
  await eventually(() => system.world.pdp.pdp.shadow.candidate === second || undefined)
  const two = await call(system)
  expect(await answerOn(system, two.decisionId)).toMatchObject({ hash: second, candidate: 'allow' })
})

const huge = Buffer.alloc(5 << 20, '// nothing\n')
it.each<[string, (folder: string) => void]>([
  ['does not parse', (folder) => storePolicyFiles(folder, setOf('permit (principal, '))],
  [
    'does not validate',
    (folder) => storePolicyFiles(folder, setOf('permit (principal, action, resource) when { 1 };')),
  ],
  ['is far too large', (folder) => storePolicyFiles(folder, new Map([...deniesAll, ['huge.cedar', huge]]))],
  [
    'is a pipe without a writer',
    (folder) => {
      mkdirSync(folder)
      execFileSync('mkfifo', [join(folder, 'pipe.cedar')])
    },
  ],
  ['is a folder named like a policy', (folder) => mkdirSync(join(folder, 'x.cedar'), { recursive: true })],
])('a candidate that %s delays no decision, and is not evaluated', async (_, make) => {
  await using system = await granted()
  make(paths(system.world.data).candidate)
  await new Promise((resolve) => setTimeout(resolve, 2500)) // it was looked at, at least once
  expect(system.world.pdp.pdp.shadow.candidate).toBeUndefined()
  expect(await call(system)).toMatchObject({ decision: true })
  expect((await system.world.events('decisions.v1')).map(({ type }) => type)).not.toContain('candidate.answered')
  // The next candidate is evaluated.
  rmSync(paths(system.world.data).candidate, { recursive: true })
  await put(system, deniesAll)
})
