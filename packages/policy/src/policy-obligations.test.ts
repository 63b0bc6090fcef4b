import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { mostAnswerFields } from '@bailiwick/contracts'
import { errorCode } from '@bailiwick/errors'
import { describe, expect, it } from 'vitest'
import { checkPolicies } from './check-policies.ts'
import { dutiesOf } from './policy-obligations.ts'
import { parsePolicySet } from './policy-set.ts'

const all = '(principal, action, resource);'
const setOf = (...policies: string[]) => parsePolicySet(new Map([['a.cedar', Buffer.from(policies.join('\n'))]]))
const asked = (...policies: string[]) => {
  const set = setOf(...policies)
  return dutiesOf(set.policies, set.policies.keys())
}

describe('obligations of policies', () => {
  it('are what the annotations of those say that decided', () => {
    const set = setOf(
      `@id("a") @redact("iban, owner/email") @limit("65536") @report_outcome_by("30") @notify("ops, sec@example.com") permit ${all}`,
      `@id("b") @redact("iban") permit ${all}`,
      `@id("c") permit ${all}`,
    )
    expect(dutiesOf(set.policies, ['a'])).toEqual({
      redact: ['iban', 'owner/email'],
      limitBytes: 65_536,
      reportSeconds: 30,
      notify: [
        { to: 'ops', policies: ['a'] },
        { to: 'sec@example.com', policies: ['a'] },
      ],
    })
    expect(dutiesOf(set.policies, ['b'])).toEqual({ redact: ['iban'], notify: [] })
    expect(dutiesOf(set.policies, ['c', 'nobody'])).toEqual({ redact: [], notify: [] })
  })

  it('are as many, as long and as large as one answer has room for', () => {
    const listed = (count: number) => Array.from({ length: count }, (_, n) => `f${n}`)
    const longest = 'a'.repeat(256)
    const duties = asked(
      `@redact("${listed(mostAnswerFields).join()}") @notify("${[...listed(7), longest].join()}") permit ${all}`,
      `@redact("f0") @limit("9007199254740991") @report_outcome_by("3600") @notify("f0") permit ${all}`,
    )
    expect(duties.redact).toHaveLength(mostAnswerFields)
    expect(duties.notify.map(({ to }) => to)).toEqual([...listed(7), longest])
    expect(duties).toMatchObject({ limitBytes: Number.MAX_SAFE_INTEGER, reportSeconds: 3600 })
    expect(asked(`@redact("a") permit ${all}`)).toStrictEqual({ redact: ['a'], notify: [] })
  })

  it('add up: what permits without an obligation lifts none, and of two limits the lower one counts (V13)', () => {
    const limits = asked(
      `@id("a") @limit("100") @report_outcome_by("9") permit ${all}`,
      `@id("b") @limit("99") @report_outcome_by("10") @notify("x") permit ${all}`,
      `@id("c") @notify("x") @redact("iban") permit ${all}`,
      `permit ${all}`,
    )
    expect(limits).toEqual({
      redact: ['iban'],
      limitBytes: 99,
      reportSeconds: 9,
      notify: [{ to: 'x', policies: ['b', 'c'] }],
    })
  })

  it.each([
    '@redact',
    '@redact("")',
    '@redact("iban,")',
    '@redact("/iban")',
    '@redact("owner//email")',
    '@redact("a~2")',
    `@redact("${'a'.repeat(129)}")`,
    '@limit',
    '@limit("0")',
    '@limit("-1")',
    '@limit("1.5")',
    '@limit("1e3")',
    '@limit("64 KiB")',
    '@limit("9007199254740992")',
    '@limit("Infinity")',
    '@report_outcome_by("3601")',
    '@report_outcome_by("soon")',
    '@notify("")',
    '@notify("a b")',
    '@notify("a, b c")',
    '@notify("a\\nb")',
    `@notify("${'a'.repeat(257)}")`,
    `@redact("${Array.from({ length: 129 }, (_, n) => `f${n}`).join()}")`,
    `@notify("${Array.from({ length: 9 }, (_, n) => `f${n}`).join()}")`,
  ])('refuse the set where one does not parse: %s (V13)', (annotation) => {
    const load = () => setOf(`permit ${all}`, `@id("p") ${annotation} permit ${all}`)
    expect(load).toThrow(annotation.slice(0, 5))
    expect(codeOf(load)).toBe('config_invalid')
  })

  it.each(['redact', 'limit', 'report_outcome_by', 'notify'])(
    'say how one is spelled that does not parse, with an example that does: @%s',
    (name) => {
      const refused = () => setOf(`@${name}("") permit ${all}`)
      expect(refused).toThrow(new RegExp(`@${name} \\w+ .*: ".+"$`))
      const [, example] = /: "([^"]+)"$/.exec(thrown(refused)) ?? []
      expect(asked(`@${name}("${example}") permit ${all}`)).not.toEqual({ redact: [], notify: [] })
    },
  )

  it.each(['@redact("a")', '@limit("1")', '@report_outcome_by("1")'])('%s belongs to a permit', (annotation) => {
    expect(() => setOf(`${annotation} forbid ${all}`)).toThrow('belongs to a permit')
  })

  it('of a forbid are whom to tell', () => {
    expect(asked(`@id("no") @notify("sec") forbid ${all}`)).toEqual({
      redact: [],
      notify: [{ to: 'sec', policies: ['no'] }],
    })
  })

  it('are shown in docs/how-to/obligations.md as ones that load', () => {
    const page = readFileSync(join(import.meta.dirname, '../../../docs/how-to/obligations.md'), 'utf8')
    const duties = asked(/```cedar\n(.*?)```/s.exec(page)?.[1] ?? '')
    expect(duties).toMatchObject({ redact: ['iban', 'owner/name'], limitBytes: 65_536 })
    expect(duties.notify).toEqual([{ to: 'security@example.com', policies: ['no-deletes'] }])
  })

  it('that are other people’s annotations are left alone', () => {
    expect(asked(`@advice("x") @reason("y") @constructor("z") permit ${all}`)).toEqual({ redact: [], notify: [] })
  })

  it('are seen by `policy check`, which calls no policy superfluous that has one', () => {
    const directory = mkdtempSync(join(tmpdir(), 'policy-obligations-'))
    const found = (text: string) => {
      writeFileSync(join(directory, 'a.cedar'), text)
      return checkPolicies(directory).filter(({ file }) => file === 'a.cedar')
    }
    try {
      expect(found(`permit ${all}\n@id("p") @limit("x") permit ${all}`)).toEqual([
        { level: 'error', file: 'a.cedar', message: 'p: @limit is a whole number of bytes: "65536"' },
      ])
      expect(found(`permit ${all}\npermit ${all}`)).toHaveLength(1)
      const ids = found(`permit ${all}\n@limit("9") permit ${all}`).map(({ policyId }) => policyId)
      expect(ids).toEqual(['a.cedar#0'])
    } finally {
      rmSync(directory, { recursive: true })
    }
  })
})

function thrown(run: () => unknown): string {
  try {
    return String(run())
  } catch (error) {
    return String((error as Error).message)
  }
}

function codeOf(run: () => unknown): string {
  try {
    run()
    return 'none'
  } catch (error) {
    return errorCode(error)
  }
}
