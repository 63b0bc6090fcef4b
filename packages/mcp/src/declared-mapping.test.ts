import { describe, expect, it } from 'vitest'
import { declaredMapping } from './declared-mapping.ts'

const input = {
  params: { name: 'get_customer', arguments: { id: 'cust-1', n: 7, 'customer-id': 'cust-2', deep: { er: 'x' } } },
  token: { sub: 'spiffe://example.org/agent/a/1', client_id: 'spiffe://example.org/agent/b/1' },
}
const of = (mapping: unknown) => declaredMapping({ type: 'object', 'x-authzen-mapping': mapping }, input)
const action = { name: 'read' }
const resource = { type: 'customer', id: '$params.arguments.id' }
const evaluation = (more: object = {}) => of({ evaluation: { action, resource, ...more } })
const detailOf = (refused: ReturnType<typeof of>) => (refused && 'refused' in refused ? refused.detail : refused)

describe('a declared mapping', () => {
  it('makes actions of a call, of literals and of what the call and its credential hold (COAZ-MCP)', () => {
    expect(declaredMapping({ type: 'object' }, input)).toBeUndefined()
    expect(declaredMapping(undefined, input)).toBeUndefined()
    expect(
      evaluation({ subject: { type: 'identity', id: '$token.sub' }, context: { agent: '$token.?client_id' } }),
    ).toEqual([{ name: 'read', resource: { type: 'customer', id: 'cust-1' } }])
    const id = (value: string) => Object(evaluation({ resource: { type: 'customer', id: value } }))[0]?.resource.id
    expect([
      id('$params.arguments["customer-id"]'),
      id('$params.arguments.deep.er'),
      id('$params.name'),
      id('$token.client_id'),
      id('$$params.name'),
      id('plain'),
    ]).toEqual(['cust-2', 'x', 'get_customer', input.token.client_id, '$params.name', 'plain'])
  })

  it('may make several, each with what it shares with the others', () => {
    const mapping = {
      evaluations: {
        subject: { id: '$token.sub' },
        action,
        evaluations: [{ resource }, { action: { name: 'write' }, resource: { type: 'folder', id: 'f' } }],
      },
    }
    expect(of(mapping)).toEqual([
      { name: 'read', resource: { type: 'customer', id: 'cust-1' } },
      { name: 'write', resource: { type: 'folder', id: 'f' } },
    ])
  })

  it.each<[string, unknown, string]>([
    ['no object', 'read', 'the mapping'],
    ['no envelope', {}, 'one of evaluation and evaluations'],
    ['two envelopes', { evaluation: {}, evaluations: {} }, 'one of evaluation and evaluations'],
    ['another envelope', { search: {} }, 'the mapping'],
    ['a subject of its own', { evaluation: { action, resource, subject: { id: 'alice' } } }, 'evaluation/subject/id'],
    [
      'attributes of the subject',
      { evaluation: { action, resource, subject: { properties: {} } } },
      'evaluation/subject',
    ],
    [
      'properties of the resource',
      { evaluation: { action, resource: { ...resource, properties: {} } } },
      'evaluation/resource',
    ],
    [
      'properties of the action',
      { evaluation: { action: { ...action, properties: {} }, resource } },
      'evaluation/action',
    ],
    ['no action', { evaluation: { resource } }, 'evaluation/action'],
    ['a context that is none', { evaluation: { action, resource, context: 'x' } }, 'evaluation/context'],
    ['no evaluations', { evaluations: { action, resource, evaluations: [] } }, 'evaluations/evaluations'],
    [
      'too many evaluations',
      { evaluations: { action, resource, evaluations: Array(9).fill({}) } },
      'evaluations/evaluations',
    ],
    [
      'a subject in one evaluation',
      { evaluations: { action, resource, evaluations: [{}, { subject: { id: '$token.sub' } }] } },
      'evaluations/evaluations/1',
    ],
  ])('with %s is refused by its place', (_, mapping, place) => {
    expect(of(mapping)).toMatchObject({ refused: 'mcp_mapping_refused' })
    expect(detailOf(of(mapping))).toContain(place)
  })

  it.each<[string, unknown]>([
    ['a condition', "$params.arguments.n > 5 ? 'a' : 'b'"],
    ['a call', '$params.arguments.id.size()'],
    ['an optional selection', '$params.arguments.?id'],
    ['another variable', '$secrets.key'],
    ['a whole variable', '$params'],
    ['an argument that the call does not have', '$params.arguments.none'],
    ['a member of every object', '$params.arguments.constructor.name'],
    ['a number', '$params.arguments.n'],
    ['an object', '$params.arguments.deep'],
    ['a claim that no mapping may read', '$token.jti'],
    ['no text', 7],
    ['an empty text', ''],
    ['a text that no event has room for', 'x'.repeat(2049)],
  ])('whose resource is %s is refused by its place', (_, id) => {
    expect(detailOf(evaluation({ resource: { type: 'customer', id } }))).toContain('evaluation/resource/id')
  })
})
