import fc from 'fast-check'
import { expect, it } from 'vitest'
import { guessLabels } from './guess-labels.ts'

const labelsOf = (name: string, annotations?: object) =>
  guessLabels({ name, inputSchema: {}, ...(annotations === undefined ? {} : { annotations }) }).labels

it.each([
  ['read_file', ['reads_private', 'guessed']],
  ['listInvoices', ['reads_private', 'guessed']],
  ['createUser', ['writes', 'guessed']],
  ['DELETE-ROWS', ['destructive', 'writes', 'guessed']],
  ['send_email', ['external_send', 'reads_untrusted', 'writes', 'guessed']],
  ['fetch', ['external_send', 'reads_private', 'reads_untrusted', 'guessed']],
  ['pay.invoice', ['external_send', 'writes', 'guessed']],
  ['frobnicate', ['unlabelled', 'guessed']],
  ['constructor', ['unlabelled', 'guessed']],
])('guesses from the words of the name: %s', (name, labels) => {
  expect(labelsOf(name)).toEqual(labels)
})

it('takes annotations as reasons to be careful alone: the server wrote them', () => {
  expect(labelsOf('delete_all', { readOnlyHint: true })).toEqual(['destructive', 'writes', 'guessed'])
  expect(labelsOf('frobnicate', { readOnlyHint: true })).toEqual(['unlabelled', 'guessed'])
  expect(labelsOf('frobnicate', { destructiveHint: true, openWorldHint: true })).toEqual([
    'destructive',
    'external_send',
    'reads_untrusted',
    'writes',
    'guessed',
  ])
  const { why } = guessLabels({ name: 'delete_all', annotations: { readOnlyHint: true } })
  expect(why).toContain('although readOnlyHint says that it only reads')
})

it('takes no label away for an annotation, and marks every guess', () => {
  const hint = fc.option(fc.constantFrom(true, false, 'yes', null), { nil: undefined })
  const annotations = fc.record({
    readOnlyHint: hint,
    destructiveHint: hint,
    openWorldHint: hint,
    idempotentHint: hint,
  })
  const name = fc.oneof(fc.string(), fc.constantFrom('read_file', 'send', 'run', 'deleteRows', 'x'))
  fc.assert(
    fc.property(name, annotations, (tool, hints) => {
      const [bare, hinted] = [labelsOf(tool), labelsOf(tool, hints)]
      for (const label of bare) if (label !== 'unlabelled') expect(hinted).toContain(label)
      expect(hinted.at(-1)).toBe('guessed')
      expect(hinted.length).toBeGreaterThan(1)
    }),
  )
})

const costOf = (properties: object) => guessLabels({ name: 'pay', inputSchema: { type: 'object', properties } }).cost

it('finds the arguments that say what a call costs', () => {
  const currency = { type: 'string' }
  expect(costOf({ amount: { type: 'number' }, currency })).toEqual({ amount: '/amount', currency: '/currency' })
  expect(
    costOf({ payment: { type: 'object', properties: { total_amount: { type: 'string' }, currencyCode: currency } } }),
  ).toEqual({ amount: '/payment/total_amount', currency: '/payment/currencyCode' })
  expect(costOf({ 'a/b~': { properties: { price: { type: 'number' }, currency } } })).toEqual({
    amount: '/a~1b~0/price',
    currency: '/a~1b~0/currency',
  })
})

it.each([
  ['an amount alone', { amount: { type: 'number' } }],
  ['two amounts', { amount: { type: 'number' }, total: { type: 'number' }, currency: { type: 'string' } }],
  [
    'two currencies',
    { amount: { type: 'number' }, currency: { type: 'string' }, x: { properties: { currency: { type: 'string' } } } },
  ],
  ['no schema', { amount: 5, currency: null }],
])('guesses no cost of %s', (_, properties) => {
  expect(costOf(properties)).toBeUndefined()
})
