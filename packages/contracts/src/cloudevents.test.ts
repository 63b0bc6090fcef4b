import { expect, it } from 'vitest'
import type { z } from 'zod'
import { envelopeSchema } from './envelope.ts'
import { exampleEvent } from './examples/index.ts'
import { topics } from './topics.ts'

// CloudEvents 1.0, spec.md; extensions/sequence.md, partitioning.md, distributed-tracing.md.

const attributes = Object.keys(envelopeSchema.shape).filter((name) => name !== 'data')
const accepts = (name: keyof typeof envelopeSchema.shape, value: unknown): boolean =>
  (envelopeSchema.shape[name] as z.ZodType).safeParse(value).success

it('names its attributes in at most 20 lower-case letters and digits (§ Naming Conventions)', () => {
  for (const name of attributes) expect(name).toMatch(/^[a-z0-9]{1,20}$/)
})

it('has the attributes that are required, none of which is ever empty (§ REQUIRED Attributes)', () => {
  for (const name of ['id', 'source', 'specversion', 'type'] as const) {
    expect(accepts(name, undefined)).toBe(false)
    expect(accepts(name, '')).toBe(false)
  }
})

it('has only Strings and one Integer of 32 bits (§ Type System)', () => {
  for (const topic of topics) {
    for (const type of Object.keys(topic.events)) {
      const event: Record<string, unknown> = { ...exampleEvent(topic.name, type) }
      for (const name of attributes.filter((attribute) => event[attribute] !== undefined)) {
        expect([name, typeof event[name]]).toEqual([name, name === 'version' ? 'number' : 'string'])
      }
    }
  }
  expect(accepts('version', 2_147_483_647)).toBe(true)
  expect(accepts('version', 2_147_483_648)).toBe(false)
})

it.each(['id', 'source', 'type', 'subject', 'partitionkey'] as const)(
  'refuses in %s what no CloudEvents String may hold (§ Type System)',
  (name) => {
    for (const character of ['\u0000', '\n', '\u007f', '\u009f', '\ufdd0', '\uffff', '\u{1ffff}', '\ud800']) {
      expect(accepts(name, `request-${character}`)).toBe(false)
    }
  },
)

it('takes text of any script where text may stand', () => {
  for (const text of ['Rechnungsprüfung', '請求書の照合', '👩🏽‍💻']) expect(accepts('subject', text)).toBe(true)
})

it('takes only a URI reference as source, only a URI as dataschema (§ source, § dataschema)', () => {
  for (const source of ['/issuer/01EXAMPLE', 'spiffe://example.org/agent/reconciler/one', 'urn:uuid:6e8bc430']) {
    expect(accepts('source', source)).toBe(true)
  }
  for (const source of ['/a b', '/<script>', '/\u00fc', '\\\\host', '/{id}'])
    expect(accepts('source', source)).toBe(false)
  expect(accepts('dataschema', 'urn:bailiwick:schema:grants.v1:grant.created')).toBe(true)
  for (const uri of ['', '/schemas/grant.created', 'grant.created']) expect(accepts('dataschema', uri)).toBe(false)
})

it('numbers with a String that orders as text (sequence extension)', () => {
  expect(accepts('sequence', 12)).toBe(false)
  expect(accepts('sequence', '0000000000000009')).toBe(true)
  expect('0000000000000009' < '0000000000000010').toBe(true)
})

it('traces with a traceparent that W3C Trace Context calls valid (distributed tracing extension)', () => {
  expect(accepts('traceparent', '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01')).toBe(true)
  for (const invalid of [
    `00-${'0'.repeat(32)}-b7ad6b7169203331-01`,
    `00-0af7651916cd43dd8448eb211c80319c-${'0'.repeat(16)}-01`,
    '00-0AF7651916CD43DD8448EB211C80319C-B7AD6B7169203331-01',
  ]) {
    expect(accepts('traceparent', invalid)).toBe(false)
  }
})

it('takes no time that does not exist (§ time)', () => {
  expect(accepts('time', '2028-02-29T23:59:59.999Z')).toBe(true)
  for (const time of ['2026-13-01T00:00:00.000Z', '2026-02-29T00:00:00.000Z', '2026-07-01T24:00:00.000Z']) {
    expect(accepts('time', time)).toBe(false)
  }
})
