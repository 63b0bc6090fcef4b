import { servedBy } from '@bailiwick/verify'
import { expect, it } from 'vitest'
import { readText } from './repository.ts'

const page = readText('docs/audit/controls.md') ?? ''

/** The rows of the table below a heading, without the header, each as its cells. */
function rows(heading: string): string[][] {
  const section = page.split(`\n## ${heading}\n`)[1]?.split('\n## ')[0] ?? ''
  const lines = section.split('\n').filter((line) => line.startsWith('| ') || line.startsWith('|-'))
  return lines.slice(2).map((line) => line.slice(2, -2).split(' | '))
}

const lists: readonly [heading: string, items: readonly string[]][] = [
  [
    'OWASP Top 10 for Agentic Applications 2026',
    Array.from({ length: 10 }, (_, n) => `ASI${String(n + 1).padStart(2, '0')}`),
  ],
  ['OWASP Non-Human Identities Top 10 2025', Array.from({ length: 10 }, (_, n) => `NHI${n + 1}`)],
  ['CSA MAESTRO layers', Array.from({ length: 7 }, (_, n) => `MAESTRO ${n + 1}`)],
  ['NIST AI RMF 1.0', ['GOVERN', 'MAP', 'MEASURE', 'MANAGE']],
  ['NIST CSF 2.0', ['GV', 'ID', 'PR', 'DE', 'RS', 'RC']],
]
/** NIST CSWP 29, Appendix A: the 22 categories. */
const csf2 =
  'GV.OC GV.RM GV.RR GV.PO GV.OV GV.SC ID.AM ID.RA ID.IM PR.AA PR.AT PR.DS PR.PS PR.IR DE.CM DE.AE RS.MA RS.AN RS.CO RS.MI RC.RP RC.CO'.split(
    ' ',
  )
const items = lists.flatMap(([heading]) => rows(heading))
const tests = rows('The tests')
/** `GOVERN 3.2`, `PR.AA`, `MAESTRO 5`, `ASI03`. */
const idOf = (item: string) =>
  /^(?:(?:MAESTRO|GOVERN|MAP|MEASURE|MANAGE) [\d.]+|[A-Z]{2}\.[A-Z]{2}|[A-Z]{3}\d+)(?= )/.exec(item)?.[0]

it.each(lists)('names for each item of %s its controls, their proof, and what is not covered', (heading, wanted) => {
  const found = rows(heading)
  for (const item of wanted)
    expect(
      found.some(([name]) => name?.startsWith(item)),
      item,
    ).toBe(true)
  for (const [item = '', answers = '', mechanism = '', proof = '', not = '', ...more] of found) {
    expect([item, more]).toEqual([item, []])
    expect(idOf(item), item).toBeDefined()
    expect(['yes', 'part', 'no'], item).toContain(answers)
    expect(mechanism.length * not.length, item).toBeGreaterThan(0)
    // A row that claims a control must name its proof; a row with "part" or "no" must name what is missing.
    if (answers !== 'no') expect(proof, item).toMatch(/T\d/)
    if (answers !== 'yes') expect(not, item).not.toBe('–')
  }
})

it('covers each category of CSF 2.0, or says that it does not', () => {
  const claimed = rows('NIST CSF 2.0').map(([item = '']) => idOf(item))
  const [, not = ''] = /nothing here is claimed of them: ([A-Z., \n]+)\n?[^A-Z]/.exec(page) ?? []
  expect([...claimed, ...(not.match(/[A-Z]{2}\.[A-Z]{2}/g) ?? [])].toSorted()).toEqual(csf2.toSorted())
  const subcategories = rows('NIST AI RMF 1.0').length
  expect(page).toContain(`other subcategories of the AI RMF, ${72 - subcategories} of 72`)
})

it('names existing tests, each in its file and under its name', () => {
  expect(tests.length).toBeGreaterThan(20)
  for (const [id, path = '', name = ''] of tests) {
    const text = readText(path) ?? ''
    const quoted = [`'${name}'`, `"${name}"`, `\`${name}\``].some((words) => text.includes(words))
    expect([id, path, quoted]).toEqual([id, path, true])
  }
})

it('has a number for each test, and cites each', () => {
  expect(tests.map(([id]) => id)).toEqual(tests.map((_, n) => `T${n + 1}`))
  const cited = new Set(items.flatMap(([, , , proof = '']) => proof.match(/T\d+/g) ?? []))
  expect([...cited].toSorted()).toEqual(tests.map(([id]) => id).toSorted())
})

it('names existing invariants that are tested', () => {
  const known = readText('docs/explain/invariants.md') ?? ''
  const named = new Set(items.flatMap(([, , , proof = '']) => proof.match(/V\d+/g) ?? []))
  expect(named.size).toBeGreaterThan(10)
  for (const invariant of named) expect(known).toMatch(new RegExp(`^\\| ${invariant} \\|.*\\| tested \\|$`, 'm'))
})

it('assigns the numbers of `bailiwick report` to the same items as the report does', () => {
  const shown = rows('The numbers of the report').map(([name = '', serves = '']) => [name, serves.split(', ')])
  expect(Object.fromEntries(shown)).toEqual(servedBy)
  const known = new Set(items.map(([item = '']) => idOf(item)))
  for (const served of Object.values(servedBy).flat()) expect(known, served).toContain(served)
})
