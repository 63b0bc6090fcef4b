import fc from 'fast-check'
import { expect, it } from 'vitest'
import { type AclRule, aclDifferences, aclLines } from './admin-acls.ts'
import { fromResources, toEntry } from './admin-rules.ts'

const rule = (over: Partial<AclRule>): AclRule => ({
  principal: 'User:issuer',
  host: '*',
  permissionType: 'ALLOW',
  operation: 'WRITE',
  resourceType: 'TOPIC',
  resourcePatternType: 'LITERAL',
  resourceName: 'grants.v1',
  ...over,
})
const declared = [
  rule({}),
  rule({ operation: 'READ', resourceType: 'GROUP', resourcePatternType: 'PREFIXED', resourceName: 'issuer' }),
]
const mallory = 'User:mallory'

it('finds no difference where the rules are the declared ones', () => {
  expect(aclLines(aclDifferences(declared, [...declared].reverse()))).toEqual([])
})

it.each<[string, Partial<AclRule>]>([
  ['another writer of a topic of ours', { principal: mallory }],
  ['all users as writers', { principal: 'User:*' }],
  ['a reader that was not declared', { principal: mallory, operation: 'READ' }],
  ['a denial', { permissionType: 'DENY' }],
  [
    'a member of our groups',
    { principal: mallory, operation: 'READ', resourceType: 'GROUP', resourceName: 'issuer-2' },
  ],
  ['a right of our user to a topic of others', { resourceName: 'payroll' }],
  [
    'a right of our user to the cluster',
    { operation: 'ALTER', resourceType: 'CLUSTER', resourceName: 'kafka-cluster' },
  ],
  ['a right of our user to all topics', { resourceName: '*' }],
  ['a right from one host alone', { host: '10.0.0.7' }],
])('names %s, which can go', (_, over) => {
  const found = rule(over)
  expect(aclDifferences(declared, [...declared, found])).toEqual({ missing: [], foreign: [found], wider: [] })
})

it.each<[string, Partial<AclRule>]>([
  ['a writer of all topics', { principal: mallory, resourceName: '*' }],
  ['a writer of a prefix', { principal: mallory, resourcePatternType: 'PREFIXED', resourceName: 'gra' }],
  ['a writer of exactly the name as a prefix', { principal: mallory, resourcePatternType: 'PREFIXED' }],
  ['a member of all groups', { principal: mallory, resourceType: 'GROUP', resourceName: '*' }],
  [
    'a member of a shorter prefix of groups',
    { principal: mallory, resourceType: 'GROUP', resourcePatternType: 'PREFIXED', resourceName: 'iss' },
  ],
  [
    'a right of all users to the cluster',
    { principal: 'User:*', operation: 'ALTER', resourceType: 'CLUSTER', resourceName: 'kafka-cluster' },
  ],
])('names %s, which others may live by', (_, over) => {
  const found = rule(over)
  expect(aclDifferences(declared, [...declared, found])).toEqual({ missing: [], foreign: [], wider: [found] })
})

it('is silent about what others do with what is theirs', () => {
  const theirs = [
    rule({ principal: mallory, resourceName: 'payroll' }),
    rule({ principal: mallory, resourceName: 'grants.v10' }),
    rule({ principal: mallory, resourceType: 'GROUP', resourceName: 'payroll' }),
    rule({ principal: mallory, resourceType: 'CLUSTER', operation: 'ALTER', resourceName: 'kafka-cluster' }),
  ]
  expect(aclLines(aclDifferences(declared, [...declared, ...theirs]))).toEqual([])
})

it('names what is missing, and says everything on one line each', () => {
  expect(aclLines(aclDifferences(declared, [rule({ principal: mallory, host: '10.0.0.7' })]))).toEqual([
    'missing: ALLOW User:issuer WRITE on TOPIC grants.v1',
    'missing: ALLOW User:issuer READ on GROUP issuer…',
    'not declared: ALLOW User:mallory from 10.0.0.7 WRITE on TOPIC grants.v1',
  ])
})

const anyRule = fc.record({
  principal: fc.constantFrom('User:issuer', mallory),
  host: fc.constantFrom('*', '127.0.0.1'),
  permissionType: fc.constantFrom('ALLOW', 'DENY'),
  operation: fc.constantFrom('READ', 'WRITE', 'ALTER', 'DESCRIBE_CONFIGS', 'ALL'),
  resourceType: fc.constantFrom('TOPIC', 'GROUP', 'CLUSTER', 'TRANSACTIONAL_ID'),
  resourcePatternType: fc.constantFrom('LITERAL', 'PREFIXED'),
  resourceName: fc.constantFrom('grants.v1', 'gr', 'issuer', 'is', '*', 'kafka-cluster'),
})

it('gets a rule back from the broker as it was sent', () => {
  fc.assert(
    fc.property(anyRule, (sent) => {
      const { principal, host, operation, permissionType, ...resource } = toEntry(sent)
      expect(fromResources([{ ...resource, acls: [{ principal, host, operation, permissionType }] }])).toEqual([sent])
    }),
  )
})

it('never sends a rule that Kafka has no name for', () => {
  expect(() => toEntry(rule({ operation: 'WRITES' }))).toThrow(TypeError)
  expect(() => toEntry(rule({ resourcePatternType: 'constructor' }))).toThrow(TypeError)
})

it('shows a rule that kafkajs has no name for, as something that is not declared', () => {
  const [USER, CREATE_TOKENS]: number[] = [7, 13]
  const acls = [{ principal: 'User:issuer', host: '*', operation: CREATE_TOKENS ?? 0, permissionType: 3 }]
  const told = fromResources([{ resourceType: USER ?? 0, resourceName: 'grants.v1', resourcePatternType: 3, acls }])
  expect(aclLines(aclDifferences(declared, [...declared, ...told]))).toEqual([
    'not declared: ALLOW User:issuer 13 on 7 grants.v1',
  ])
})
