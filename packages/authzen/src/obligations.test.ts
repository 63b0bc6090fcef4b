import { obligationSchema } from '@bailiwick/contracts'
import type { Duties } from '@bailiwick/policy'
import { expect, it } from 'vitest'
import { type About, isSupported, least, spellObligations, stepUpObligation } from './obligations.ts'

const about: About = { subject: 'a', action: 'n', resource: { type: 'tool', id: 't' }, decision: true, decisionId: 'd' }
const none: Duties = { redact: [], notify: [] }
const all: Duties = {
  redact: ['iban', 'owner/name'],
  limitBytes: 9,
  reportSeconds: 30,
  notify: [
    { to: 'ops', policies: ['p', 'q'] },
    { to: 'sec', policies: ['p'] },
  ],
}

it('are spelled as the profile has them: id, type and properties, each id once', () => {
  expect(spellObligations(none, about)).toEqual([])
  const vendor = 'bailiwick'
  const spelled = spellObligations(all, about)
  expect(spelled).toEqual([
    { id: 'redact', type: 'custom', properties: { vendor, action: 'redact', fields: ['iban', 'owner/name'] } },
    { id: 'limit', type: 'custom', properties: { vendor, action: 'limit', bytes: 9 } },
    { id: 'report-outcome-by', type: 'custom', properties: { vendor, action: 'report_outcome_by', seconds: 30 } },
    {
      ...{ id: 'notification-1', type: 'notification' },
      properties: { to: 'ops', topic: 'policy p, q', body: 'Allowed: a: n on tool t (d)' },
    },
    {
      ...{ id: 'notification-2', type: 'notification' },
      properties: { to: 'sec', topic: 'policy p', body: 'Allowed: a: n on tool t (d)' },
    },
  ])
  expect(stepUpObligation).toEqual({
    ...{ id: 'step-up', type: 'step-up', properties: { acr_value: 'urn:bailiwick:acr:approvers' } },
  })
  for (const each of [...spelled, stepUpObligation]) expect(obligationSchema.safeParse(each).success).toBe(true)
})

it('stay small, however long the names are', () => {
  const long = 'x'.repeat(2048)
  const recipients = Array.from({ length: 8 }, (_, n) => ({ to: `${n}`.padEnd(256, 'r'), policies: [long, long] }))
  const spelled = spellObligations(
    { ...all, notify: recipients },
    { ...about, subject: long, resource: { type: long, id: long }, decision: false },
  )
  expect(JSON.stringify(spelled).length).toBeLessThan(16_000)
  for (const each of spelled) expect(obligationSchema.safeParse(each).success).toBe(true)
})

it('cut no character in half: half of one cannot be signed, and makes the event unreadable', () => {
  const halved = (most: number) => `${'x'.repeat(most - 1)}😀 and more`
  const notify = [{ to: 'ops', policies: [halved(512 - 'policy '.length)] }]
  const spelled = spellObligations({ ...none, notify }, { ...about, resource: { type: 'tool', id: halved(200) } })
  const texts = spelled.flatMap(({ properties }) => Object.values(properties))
  expect(texts).toHaveLength(3)
  for (const text of texts) expect(String(text).isWellFormed()).toBe(true)
})

it('are supported where an enforcement point says nothing, or says that it does all of them', () => {
  expect(isSupported(all, undefined)).toBe(true)
  expect(isSupported(none, [])).toBe(true)
  expect(isSupported(all, ['custom', 'notification', 'of others'])).toBe(true)
  expect(isSupported(all, ['custom', 'step-up'])).toBe(false)
  expect(isSupported(all, ['notification', 'redact', 'limit'])).toBe(false)
  for (const custom of [{ redact: ['a'] }, { limitBytes: 1 }, { reportSeconds: 1 }]) {
    expect(isSupported({ ...none, ...custom }, ['notification'])).toBe(false)
    expect(isSupported({ ...none, ...custom }, ['custom'])).toBe(true)
  }
  expect(isSupported({ ...none, notify: all.notify }, ['custom'])).toBe(false)
  expect(isSupported({ ...none, notify: all.notify }, ['notification'])).toBe(true)
})

it('say what was decided, of which decision where there is one, and cut no name that is short', () => {
  const body = (more: Partial<About>) => {
    const { decisionId: _, ...denied } = { ...about, decision: false }
    const [{ properties } = { properties: {} }] = spellObligations(
      { ...none, notify: all.notify },
      { ...denied, ...more },
    )
    return (properties as { body?: string }).body
  }
  expect(body({})).toBe('Denied: a: n on tool t')
  expect(body({ decisionId: 'd' })).toBe('Denied: a: n on tool t (d)')
  const [fits, long] = ['x'.repeat(200), 'x'.repeat(201)]
  expect(body({ subject: fits })).toBe(`Denied: ${fits}: n on tool t`)
  expect(body({ subject: long, action: long, resource: { type: long, id: long } })).toBe(
    `Denied: ${fits}…: ${fits}… on ${fits}… ${fits}…`,
  )
  const [{ properties } = {}] = spellObligations(
    { ...none, notify: [{ to: 'ops', policies: ['p'.repeat(600)] }] },
    about,
  )
  expect(properties).toMatchObject({ topic: `policy ${'p'.repeat(505)}` })
})

it('of two limits the lower counts, and none where there is none', () => {
  expect([least(), least(undefined, undefined), least(3, undefined), least(undefined, 0), least(2, 1)]).toEqual([
    ...[undefined, undefined, 3, 0, 1],
  ])
})
