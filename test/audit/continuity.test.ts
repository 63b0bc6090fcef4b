import type { EventData, Rule, StepUpEffect } from '@bailiwick/contracts'
import type { Rule as Broken } from '@bailiwick/verify/audit'
import { expect, it } from 'vitest'
import { SubAgents } from '../e2e/sub-agents.ts'
import type { GrantLie } from './drafts.ts'
import { allowed, findingsOf } from './forge.ts'
import { type GoodLog, goodLog } from './good-log.ts'

// A stolen decision point continues under a grant that stays open only while its workload is attested, or under a grant
// that moved: each is a finding.

const instances = new SubAgents(0)
const fresh = { reattest_seconds: 60, outcome_seconds: 30 }
const stays: GrantLie = { asked: { mode: 'continuous' }, statement: { mode: 'continuous', continuous: fresh } }

/** The good log, with a registry in which tasks may stay open and the agent has a second instance. */
const aLog = () =>
  goodLog((entities) =>
    instances.entities(entities).map((entity) => {
      if (entity.type !== 'rule' || entity.value.id !== 'tasks') return entity
      return { ...entity, value: { ...(entity.value as Rule), modes: ['window', 'continuous'], continuous: fresh } }
    }),
  )

/** A story that another test may continue: each version is the next of its tree. */
class Story {
  readonly log: GoodLog
  #grants = 3
  #decisions = 0
  #outcomes = 3

  private constructor(log: GoodLog) {
    this.log = log
  }

  static async of(lie: GrantLie): Promise<Story> {
    const story = new Story(await aLog())
    story.log.grant('kept', lie)
    return story
  }

  pass(seconds: number): this {
    this.log.later(seconds * 1000)
    return this
  }

  /** Another credential, for which the workload attests; later calls use it. */
  attest(over: Partial<EventData<'grants.v1', 'credential.intended'>> = {}): this {
    const { log } = this
    const first = log.draft<'grants.v1', 'credential.intended'>('kept intended').data
    const credential_id = `crd_kept${String(++this.#grants).padStart(16, '0')}`
    const attestation = { kind: 'registered_key' as const, attested_at: log.iso() }
    const times = { issued_at: log.iso(), expires_at: log.iso(300_000) }
    const intended = { ...first, credential_id, attestation, ...times, ...over }
    const at = { key: first.grant_id, version: this.#grants }
    log.say(credential_id, 'grants.v1', 'credential.intended', credential_id, intended, at)
    return this
  }

  allow(name: string, over: Partial<EventData<'decisions.v1', 'decision.allowed'>> = {}): this {
    this.log.allow(name, 'kept', ++this.#decisions)
    const { data } = allowed(this.log, name)
    Object.assign(data, over)
    if (over.step_up !== undefined) data.action = this.log.digested(data.action)
    return this
  }

  report(name: string): this {
    this.log.outcome(`${name} done`, name, ++this.#decisions, ++this.#outcomes, 'succeeded')
    return this
  }

  /**
   * A person approves the action of `to` once more, and nothing else unless `effect` says so. Returns the id of that
   * approval.
   */
  yes(name: string, to: string, effect?: StepUpEffect): string {
    const { action } = allowed(this.log, to).data
    return this.log.stepUp(name, 'kept', action, effect === undefined ? undefined : () => effect)
  }

  /** The grant moves to this instance and key. */
  move(to: { agent: string; instance_key: string }): this {
    const { grant } = this.log.draft<'grants.v1', 'grant.created'>('kept grant').data
    const data = { grant: { ...grant, ...to } }
    this.log.say('moved', 'grants.v1', 'grant.rebound', grant.id, data, { version: ++this.#grants })
    return this
  }
}

const proven = async () => {
  const story = await Story.of(stays)
  return story.allow('first').pass(20).report('first').pass(20).attest().allow('second').report('second')
}

it('accepts calls made while the workload was attested, and after a human’s approval', async () => {
  const story = await proven()
  using log = story.log
  story.pass(61)
  const until = story.log.iso(200_000)
  story.allow('third', { step_up: story.yes('goes on', 'first', { kind: 'task', until }) }).report('third')
  story.allow('fourth').report('fourth').pass(50).attest().pass(50).allow('fifth')
  story.pass(61)
  story.allow('sixth', { step_up: story.yes('this alone', 'first') }).report('sixth')
  expect(await findingsOf(log)).toEqual([])
})

it.each<[name: string, detail: string, lie: (story: Story) => void]>([
  [
    'after an approval of one other action only',
    'had not attested',
    (story) => {
      story.pass(62).yes('this alone', 'first')
      story.allow('late')
    },
  ],
  [
    'after the time until which an approval extended it',
    'had not attested',
    (story) => {
      const until = story.log.iso(62_000 + 10_000)
      story.pass(62).yes('goes on', 'first', { kind: 'task', until })
      story.pass(12).allow('late')
    },
  ],
  ['with a workload that did not attest in time', 'had not attested', (story) => void story.pass(62).allow('late')],
  ['with one that attests too late', 'had not attested', (story) => void story.pass(62).attest().allow('late')],
  [
    'though an outcome came too late',
    'an outcome before it',
    (story) => void story.allow('slow').pass(32).report('slow').attest().allow('late'),
  ],
  [
    'though an outcome never came',
    'an outcome before it',
    (story) => void story.allow('lost').pass(32).attest().allow('late'),
  ],
  [
    'after an approval without a signature',
    'had not attested',
    (story) => {
      story.pass(62).yes('forged', 'first')
      const { assertions } = story.log.draft<'approvals.v1', 'request.approved'>('task approved').data
      story.log.draft<'approvals.v1', 'request.approved'>('forged approved').data.assertions = assertions
      story.allow('late')
    },
  ],
  [
    'after an approval for another grant',
    'had not attested',
    (story) => {
      story.pass(62).log.stepUp('elsewhere', 'task', allowed(story.log, 'first').data.action)
      story.allow('late')
    },
  ],
])('finds that an action was allowed %s (V3)', async (_, detail, lie) => {
  const story = await proven()
  using log = story.log
  lie(story)
  expect(await findingsOf(log)).toEqual([
    { leaf: expect.any(Number), rule: 'V3', detail: expect.stringContaining(detail) },
  ])
})

const moves: GrantLie = { asked: { rebind: 'attested' }, statement: { rebind: 'attested' } }
const second = { agent: instances.second.id, instance_key: instances.second.key.kid }
const theirs = { agent: second.agent, jkt: second.instance_key }
const lastCredential = (story: Story) => {
  const { data } = story.log.draft<'grants.v1', 'credential.intended'>([...story.log.drafts.keys()].at(-1) ?? '')
  return { credential_id: data.credential_id }
}

/** An ALLOW for the instance that now has the grant, with the newest credential. */
function allowNow(story: Story): void {
  const { credential_id } = lastCredential(story)
  story.allow('now')
  Object.assign(allowed(story.log, 'now').data.actor, { credential_id, agent: second.agent })
}

it('accepts a grant that moved to a newly attested instance, as the humans had signed', async () => {
  const story = await Story.of(moves)
  using log = story.log
  allowNow(story.allow('before').pass(5).move(second).attest(theirs))
  expect(await findingsOf(log)).toEqual([])
})

it.each<[name: string, rule: Broken, detail: string, lie: (story: Story) => void, signed?: GrantLie]>([
  ['that humans did not let move', 'V3', 'changed after', (story) => void story.move(second), {}],
  [
    'that moved to another agent',
    'V3',
    'changed after',
    (story) => void story.move({ ...second, agent: second.agent.replace('reconciler', 'forecaster') }),
  ],
  [
    'that moved to an unregistered key',
    'V3',
    'an unregistered key',
    (story) => void story.move({ ...second, instance_key: 'A'.repeat(43) }),
  ],
  [
    'that moved, under a credential of the key that it had left',
    'V11',
    'its grant had left',
    (story) => {
      story.pass(5).move(second).pass(5).allow('now')
      allowed(story.log, 'now').data.actor.agent = second.agent
    },
  ],
  [
    'under a credential for which no workload attested',
    'V4',
    'did not show what it is',
    (story) => void story.attest({ attestation: undefined }),
  ],
  [
    'under a credential for which it attested in another way than its agent must',
    'V4',
    'did not show what it is',
    (story) => void story.attest({ attestation: { kind: 'join_token', attested_at: story.log.iso() } }),
  ],
])('finds a grant %s', async (_, rule, detail, lie, signed = moves) => {
  const story = await Story.of(signed)
  using log = story.log
  lie(story)
  expect(await findingsOf(log)).toContainEqual(
    expect.objectContaining({ rule, detail: expect.stringContaining(detail) }),
  )
})
