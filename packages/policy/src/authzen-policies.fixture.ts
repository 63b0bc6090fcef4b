import { AuthZenPolicies, type PlainRequest, type PlainSearch, PolicySlot } from './authzen-policies.ts'
import { strictWatch } from './compiled/compiled.fixture.ts'
import { loadPolicySet } from './policy-set.ts'

export const schema = `namespace App {
  entity Team;
  entity User in [Team] { age: Long, home?: ipaddr, boss?: User, profile?: { level: Long, more?: { deep: Bool } } };
  entity Doc { owner: User, price?: decimal, tags?: Set<{ name: String }> };
  action read, "weird/name?" appliesTo { principal: [User], resource: [Doc], context: {
    ip?: ipaddr, mfa?: Bool, friend?: User, limit?: Long, nested?: { a?: Long }, action?: { n?: Long, why?: String },
  } };
  action meet appliesTo { principal: [User], resource: [User], context: {} };
}`

export const entities = [
  {
    uid: { type: 'App::User', id: 'anna' },
    attrs: { age: 30, home: '10.0.0.1' },
    parents: [{ type: 'App::Team', id: 'a' }],
  },
  { uid: { type: 'App::User', id: 'boss' }, attrs: { age: 50 }, parents: [] },
  { uid: { type: 'App::Doc', id: 'plan' }, attrs: { owner: { type: 'App::User', id: 'boss' } }, parents: [] },
]

let slots = 0
export interface Set {
  policies: string
  schema?: string | undefined
  entities?: unknown
  mapping?: string
}
/** Both engines answer, and must agree. */
export function policiesOf({ policies, schema, entities, mapping }: Set): AuthZenPolicies {
  const files = {
    'schema.cedarschema': schema,
    'a.cedar': policies,
    'entities.json': entities && JSON.stringify(entities),
    'authzen.yaml': mapping,
  }
  const present = Object.entries(files).filter((file): file is [string, string] => file[1] !== undefined)
  const set = loadPolicySet(new Map(present.map(([name, text]) => [name, Buffer.from(text)])))
  return new AuthZenPolicies(set, new PolicySlot(`authzen-policies.fixture ${slots++}`), strictWatch())
}

export const reading = (more: Partial<PlainRequest> = {}): PlainRequest => ({
  subject: { type: 'App::User', id: 'anna' },
  action: { name: 'read' },
  resource: { type: 'App::Doc', id: 'plan' },
  ...more,
})

/** Whether a permit with this condition permits the request. */
export function holds(condition: string, request = reading(), more: Partial<Set> = {}) {
  const policies = `@id("p") permit (principal, action, resource) when { ${condition} };`
  return policiesOf({ schema, entities, ...more, policies }).evaluate(request).outcome
}
export const bare = { schema: undefined, entities: undefined }

/** The results of a search. */
export function found(set: AuthZenPolicies, search: PlainSearch): string[] {
  const { ids, evaluation } = set.candidates(search)
  return ids.filter((id) => set.evaluate(evaluation(id)).outcome === 'allow')
}
