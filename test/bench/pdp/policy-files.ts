import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { PolicyFiles } from '@bailiwick/installation'

/** The policies that both sets have besides their scoped ones; the set's count includes all. */
export const mixture =
  'Of the policies all but ten are scoped, as those of a company are: a tenth of them by a user or agent, a tenth by an action on its own, the others by the ' +
  'resource that they are about; the ten are about everything.'

/** The starter policies, with as many others as make `count`: for agents, for tools and for other actions. */
export function grantPolicies(starter: PolicyFiles, count: number): PolicyFiles {
  const there = [...starter.values()].map((text) => text.toString().match(/^(permit|forbid) /gm)?.length ?? 0)
  const more = Array.from({ length: count - there.reduce((sum, each) => sum + each, 0) }, (_, n) => grantPolicy(n))
  return new Map([...starter, ['company.cedar', Buffer.from(more.join('\n'))]])
}

function grantPolicy(n: number): string {
  if (n < 3) return forbid(n, 'principal, action, resource', 'context.grant.approvers < 0')
  if (n % 10 === 0)
    return forbid(
      n,
      `principal == agent::"spiffe://bailiwick.local/agent/a${n}", action, resource`,
      'context.time.hour < 6',
    )
  if (n % 10 === 1)
    return forbid(
      n,
      'principal, action in [Action::"PUT", Action::"DELETE"], resource is api',
      `resource.server == "s${n}"`,
    )
  return forbid(
    n,
    `principal, action == Action::"tools/call", resource == tool::"s${n}/send"`,
    'context.time.weekday == 0',
  )
}

const forbid = (n: number, scope: string, when: string) => `@id("company-${n}") forbid (${scope}) when { ${when} };`

const schema = `
entity Group;
entity Folder;
entity User in [Group] = { level: Long };
entity Doc in [Folder] = { owner: User, secret: Bool };
action view, edit, share, delete appliesTo { principal: [User], resource: [Doc], context: { hour: Long, mfa: Bool, ticket: Long } };
`

const docs = 1000
const users = 200
const groups = 40
/** Requests are the same for every set: they name folders that all sets have. */
const folders = 60

/** A directory of `count` policies about documents in folders, with users in groups. */
export function writeFolderPolicies(directory: string, count: number): void {
  mkdirSync(directory)
  writeFileSync(join(directory, 'schema.cedarschema'), schema)
  writeFileSync(join(directory, 'entities.json'), JSON.stringify(entities()))
  writeFileSync(join(directory, 'company.cedar'), Array.from({ length: count }, (_, n) => folderPolicy(n)).join('\n'))
}

function folderPolicy(n: number): string {
  const id = `@id("company-${n}")`
  if (n === 0) return `${id} permit (principal, action, resource) when { resource.owner == principal };`
  if (n < 10)
    return `${id} forbid (principal, action, resource) when { resource.secret && principal.level < ${n % 3} };`
  if (n % 10 === 0)
    return `${id} permit (principal == User::"u${n}", action == Action::"view", resource) when { context.mfa };`
  if (n % 10 === 1)
    return `${id} forbid (principal, action == Action::"delete", resource) when { context.ticket == -${n} };`
  const folder = `resource in Folder::"f${n - 10}"`
  return `${id} permit (principal in Group::"g${n % groups}", action in [Action::"view", Action::"edit"], ${folder}) when { context.hour < 20 };`
}

function entities() {
  const uid = (type: string, id: string) => ({ type, id })
  return [
    ...Array.from({ length: users }, (_, n) => ({
      ...{ uid: uid('User', `u${n}`), attrs: { level: 5 } },
      parents: [uid('Group', `g${n % groups}`)],
    })),
    ...Array.from({ length: docs }, (_, n) => ({
      uid: uid('Doc', `d${n}`),
      attrs: { owner: { __entity: uid('User', `u${(n * 7) % users}`) }, secret: n % 5 === 0 },
      parents: [uid('Folder', `f${n % folders}`)],
    })),
  ]
}

/** The n-th request: a user about a document, all different. All users are owners, so that each request is allowed. */
export function folderRequest(n: number): Record<'subject' | 'action' | 'resource' | 'context', object> {
  const doc = (n * 31) % docs
  return {
    subject: { type: 'User', id: `u${(doc * 7) % users}` },
    action: { name: n % 2 === 0 ? 'view' : 'edit' },
    resource: { type: 'Doc', id: `d${doc}` },
    context: { hour: 9, mfa: true, ticket: n },
  }
}
