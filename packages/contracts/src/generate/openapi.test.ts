import { Ajv2020 } from 'ajv/dist/2020.js'
import { describe, expect, it } from 'vitest'
import { apis, type Route } from '../api/index.ts'
import { consoleAnswers } from './console-answers.ts'
import { type OpenApi, openApi } from './openapi.ts'

const documents = Object.entries(apis).map(([name, api]) => ({ name, api, document: openApi(api) }))

const operationsOf = ({ paths }: OpenApi) =>
  Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  )

function* refsIn(value: unknown): Generator<string> {
  if (typeof value !== 'object' || value === null) return
  for (const [name, member] of Object.entries(value))
    if (name === '$ref' && typeof member === 'string') yield member
    else yield* refsIn(member)
}

describe.each(documents)('the OpenAPI document of $name', ({ api, document }) => {
  it('has one operation for each route, under its own name', () => {
    const ids = operationsOf(document).map(({ operation }) => operation.operationId)
    expect(ids.sort()).toEqual(Object.keys(api.routes).sort())
  })

  it('refers only to components that it has', () => {
    const known = Object.keys(document.components.schemas).map((name) => `#/components/schemas/${name}`)
    expect(known).toContain('#/components/schemas/Problem')
    for (const ref of refsIn(document)) expect(known).toContain(ref)
  })

  it('declares each parameter of a path', () => {
    for (const { path, operation } of operationsOf(document)) {
      const given = ((operation.parameters ?? []) as { name: string; in: string }[]).filter(
        (each) => each.in === 'path',
      )
      expect([path, given.map(({ name }) => name)]).toEqual([path, [...path.matchAll(/\{(\w+)\}/g)].map(([, n]) => n)])
    }
  })

  it('has a schema for every answer that is JSON, judged by another validator', () => {
    const ajv = new Ajv2020({ strict: false, validateFormats: false })
    ajv.addSchema({ $id: 'urn:bailiwick:openapi', components: document.components })
    for (const { operation } of operationsOf(document)) {
      const {
        answer,
        statuses = [200],
        gives = 'application/json',
      }: Route = api.routes[String(operation.operationId)] as Route
      if (answer === undefined) continue
      for (const status of statuses) {
        const pointer = JSON.parse(
          JSON.stringify((operation.responses as never)[status]).replaceAll('"#/', '"urn:bailiwick:openapi#/'),
        )
        const validate = ajv.compile(pointer.content[gives].schema)
        expect([operation.operationId, validate('no answer is a string')]).toEqual([operation.operationId, false])
      }
    }
  })
})

it('describes a route as its contract does', () => {
  const { paths } = openApi(apis.issuer)
  expect(paths['/oauth/grants/{id}/complete']?.post).toMatchObject({
    operationId: 'completeGrant',
    tags: ['http'],
    parameters: [{ name: 'id', in: 'path', required: true }],
    responses: {
      200: { content: { 'application/json': { schema: { required: ['grant_id', 'state'] } } } },
      default: { content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } } },
    },
  })
  expect(paths['/oauth/revoke']?.post?.responses).toHaveProperty('200', { description: 'Done; no body' })
})

it('gives the console a type for every answer and every part that has a name', () => {
  const text = consoleAnswers()
  expect(text).toContain('export type ApproveAnswer = { "status": "endorsed" | "approved"; "endorsements"?: number;')
  expect(text).toContain('"children": (Link)[] }')
  const declared = new Set([...text.matchAll(/^export type (\w+) =/gm)].map(([, name]) => name))
  for (const [, name] of text.matchAll(/[:(|] ?([A-Z]\w+)/g)) if (name !== 'Record') expect(declared).toContain(name)
})
