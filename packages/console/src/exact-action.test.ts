import { expect, it } from 'vitest'
import { canonical, hashed } from './ceremonies.ts'
import { exactAction } from './exact-action.ts'

const resource = { type: 'tool', id: 'invoices/adjust' }
const textOf = (properties: unknown, more: object = {}) =>
  canonical({ action: { name: 'tools/call', properties, ...more }, resource })
const checked = async (text: string, digest?: string) => exactAction(text, digest ?? (await hashed(text)))

it('reads the action behind a digest, with each value as it was hashed', async () => {
  const properties = {
    invoice: 'INV-40',
    amount: 0.1,
    big: 1e21,
    small: 1e-7,
    deep: { list: [1, '1', null, true, {}] },
  }
  expect(await checked(textOf(properties))).toEqual({
    ok: true,
    action: { name: 'tools/call', resource, properties, isOpaque: false },
  })
  expect(await checked(textOf({ body_sha256: 'A'.repeat(43) }))).toMatchObject({ action: { isOpaque: true } })
  expect(await checked(textOf({ body_sha256: 'A', more: 1 }))).toMatchObject({ action: { isOpaque: false } })
  // A valid argument name, although unusual.
  expect(await checked(textOf(JSON.parse('{"__proto__":1}')))).toMatchObject({ ok: true })
})

it.each<[string, string]>([
  ['another action', textOf({ invoice: 'INV-1' })],
  ['a lone surrogate, which is hashed as another character', textOf({ invoice: '\uFFFD' }).replace('\uFFFD', '\uD800')],
])('refuses a text whose hash is not the digest: %s (V3)', async (_, text) => {
  const digest = await hashed(textOf({ invoice: '\uFFFD' }))
  expect(await checked(text, digest)).toEqual({ ok: false, why: expect.stringContaining('not their hash') })
})

const text = textOf({ amount: 1 })
it.each<[string, string]>([
  ['a member twice', text.replace('"amount":1', '"amount":1,"amount":2')],
  ['spaces', ` ${text}`],
  ['a number in another form', text.replace(':1}', ':1.0}')],
  ['a number that this page cannot represent', text.replace(':1}', ':12345678901234567890}')],
  ['an unnecessary escape', text.replace('"amount"', '"\\u0061mount"')],
  ['more than an action', textOf({ amount: 1 }, { note: 'approve' })],
  ['no arguments', textOf(undefined)],
  ['a list', textOf([1])],
  ['a name that is not a string', text.replace('"tools/call"', '7')],
  ['no JSON', 'pay 1 EUR'],
  ['nothing', 'null'],
])('refuses a text that is not one action in canonical form: %s (V3)', async (_, given) => {
  expect(await checked(given)).toEqual({ ok: false, why: expect.stringContaining('canonical') })
})
