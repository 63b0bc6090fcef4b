import fc from 'fast-check'
import type { Expr, Policy } from './cedar.ts'
import { currencies, type Fact, factsOf, labels, type Whose } from './history.ts'

// Conditions on the history, one kind for each fact that policies can read.

const money = `{ ${currencies.map((currency) => `${currency}: decimal`).join(', ')} }`
const each = (type: string, mark = '') => labels.map((label) => `${label}${mark}: ${type}`).join(', ')

const factTypes: Record<Fact, string> = {
  labels: 'Set<String>',
  calls: 'Long',
  denials: 'Long',
  depth: 'Long',
  count: `{ ${each('Long')} }`,
  spent: `{ ${currencies.map((currency) => `${currency}: decimal`).join(', ')}, ${each(money)} }`,
  last: `{ ${each('Long', '?')} }`,
}

/** As policies/schema.cedarschema declares it, without its names. */
export const touchedType = (whose: Whose) =>
  `{ ${factsOf[whose].map((fact) => `${fact}: ${factTypes[fact]}`).join(', ')} }`

const get = (of: Expr, name: string): Expr => ({ is: 'get', of, name })
const fact = (whose: Whose, ...names: string[]): Expr =>
  ['history', whose, ...names].reduce(get, { is: 'variable', name: 'context' })
const number = (value: bigint): Expr => ({ is: 'literal', value })

/**
 * Each holds once enough was done: after `often` calls that write and pay 1 EUR each, or that many refused calls, or
 * one by a sub-agent.
 */
export function conditionOn(whose: Whose, of: Fact, often: number, label = 'writes'): Expr {
  const atLeast = (left: Expr): Expr => ({ is: '>=', left, right: number(BigInt(often)) })
  switch (of) {
    case 'labels':
      return { is: 'contains', left: fact(whose, of), right: { is: 'literal', value: label } }
    case 'calls':
    case 'denials':
      return atLeast(fact(whose, of))
    case 'depth':
      return { is: '>=', left: fact(whose, of), right: number(1n) }
    case 'count':
      return atLeast(fact(whose, of, label))
    case 'spent': {
      const spent = often % 2 === 0 ? fact(whose, of, label, 'EUR') : fact(whose, of, 'EUR')
      return { is: 'greaterThanOrEqual', left: spent, right: { is: 'decimal', places: BigInt(often) * 10_000n } }
    }
    case 'last': {
      const touched: Expr = { is: 'has', of: fact(whose, of), name: label }
      const lately: Expr = { is: '<', left: fact(whose, of, label), right: number(300n * BigInt(often)) }
      return { is: '&&', left: touched, right: lately }
    }
  }
}

/** Any of them, for sets that contain other conditions too. */
export const conditionsOnHistory: fc.Arbitrary<Expr> = fc
  .record({
    whose: fc.constantFrom<Whose[]>('task', 'agent', 'owner'),
    of: fc.constantFrom<Fact[]>('count', 'spent', 'last', 'denials', 'depth'),
    often: fc.integer({ min: 1, max: 4 }),
    label: fc.constantFrom(...labels),
    cents: fc.constantFrom(0n, 5000n, 5001n, 25_000n, 25_001n),
  })
  .filter(({ whose, of }) => factsOf[whose].includes(of))
  .map(({ whose, of, often, label, cents }) => {
    const condition = conditionOn(whose, of, often, label)
    if (!('right' in condition) || condition.right.is !== 'decimal') return condition
    return { ...condition, right: { is: 'decimal', places: condition.right.places + cents } }
  })

/** Paying is forbidden by this one fact only. */
export const forbidding = (whose: Whose, of: Fact, often: number): Policy[] => [
  { id: 'granted', effect: 'permit', principal: { type: 'agent' }, action: {}, resource: {}, conditions: [] },
  {
    id: `${whose}-${of}-${often}`,
    effect: 'forbid',
    principal: {},
    action: {},
    resource: { eq: { type: 'tool', id: 'erp/pay' } },
    conditions: [{ kind: 'when', body: conditionOn(whose, of, often) }],
  },
]
