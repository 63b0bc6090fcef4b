import { answerFieldSchema, mostAnswerFields } from '@bailiwick/contracts'
import type { PolicyJson } from '@cedar-policy/cedar-wasm/nodejs'

/** The obligations that a policy puts on the enforcement point whenever it decides; given by its annotations. */
export interface Obliges {
  /** `@redact("iban, owner/email")`: fields of the answer, as `answerFieldSchema`. */
  redact: readonly string[]
  /** `@limit("65536")`: the longest answer, in bytes. */
  limitBytes?: number
  /** `@report_outcome_by("30")`: seconds after the decision. */
  reportSeconds?: number
  /** `@notify("security@example.com")`: whom to notify. */
  notify: readonly string[]
}

/** The combined obligations of several policies. */
export interface Duties extends Omit<Obliges, 'notify'> {
  notify: readonly { to: string; policies: readonly string[] }[]
}

const nothing: Duties = { redact: [], notify: [] }

/** The most recipients that one answer, and its decision event, can hold. */
const mostRecipients = 8
const longestReportSeconds = 3600

/** Reads a policy's annotations; undefined: it has no obligation. Throws a sentence that says which one is wrong, and how to write it. */
export function obligesOf({
  effect,
  annotations = {},
}: Pick<PolicyJson, 'effect' | 'annotations'>): Obliges | undefined {
  const names = Object.keys(annotations).filter((name) => Object.hasOwn(readers, name))
  if (names.length === 0) return undefined
  const obliges: Obliges = { redact: [], notify: [] }
  for (const name of names) {
    if (effect !== 'permit' && name !== 'notify')
      throw new Error(`@${name} belongs to a permit: a forbid has no answer`)
    const value: unknown = annotations[name]
    const read = readers[name as keyof typeof readers](typeof value === 'string' ? value : '')
    if (read === undefined) throw new Error(`@${name} ${spellings[name as keyof typeof readers]}`)
    Object.assign(obliges, read)
  }
  return obliges
}

/** Throws a sentence if all of them together require more than one answer can hold. */
export function requireRoom(all: readonly Obliges[]): void {
  const sizes = {
    fields: new Set(all.flatMap(({ redact }) => redact)),
    to: new Set(all.flatMap(({ notify }) => notify)),
  }
  if (sizes.fields.size > mostAnswerFields) throw new Error(`@redact: more than ${mostAnswerFields} fields in one set`)
  if (sizes.to.size > mostRecipients) throw new Error(`@notify: more than ${mostRecipients} recipients in one set`)
}

/** All obligations of these policies; of two limits, the lower one. An obligation stays even if another policy permits without it. */
export function dutiesOf(
  policies: ReadonlyMap<string, { obliges?: Obliges | undefined }>,
  ids: Iterable<string>,
): Duties {
  const asked = [...ids].flatMap((id) => {
    const obliges = policies.get(id)?.obliges
    return obliges === undefined ? [] : [{ id, ...obliges }]
  })
  if (asked.length === 0) return nothing
  const least = (values: (number | undefined)[]) => {
    const given = values.filter((value) => value !== undefined)
    return given.length === 0 ? undefined : Math.min(...given)
  }
  const limitBytes = least(asked.map((each) => each.limitBytes))
  const reportSeconds = least(asked.map((each) => each.reportSeconds))
  const recipients = Map.groupBy(
    asked.flatMap(({ id, notify }) => notify.map((to) => ({ id, to }))),
    ({ to }) => to,
  )
  return {
    redact: [...new Set(asked.flatMap(({ redact }) => redact))],
    ...(limitBytes === undefined ? {} : { limitBytes }),
    ...(reportSeconds === undefined ? {} : { reportSeconds }),
    notify: [...recipients].map(([to, by]) => ({ to, policies: by.map(({ id }) => id) })),
  }
}

const readers = {
  redact: (text: string) => {
    const fields = listOf(text)
    return fields.every((field) => answerFieldSchema.safeParse(field).success) ? { redact: fields } : undefined
  },
  limit: (text: string) => numbered(text, Number.MAX_SAFE_INTEGER, 'limitBytes'),
  report_outcome_by: (text: string) => numbered(text, longestReportSeconds, 'reportSeconds'),
  notify: (text: string) => {
    const notify = listOf(text)
    const isName = (name: string) => name.length <= 256 && /^[\x21-\x7e]+$/.test(name)
    return notify.every(isName) ? { notify } : undefined
  },
} satisfies Record<string, (text: string) => Partial<Obliges> | undefined>

const spellings: Record<keyof typeof readers, string> = {
  redact: 'names fields of the answer, with commas between: "iban, owner/email"',
  limit: 'is a whole number of bytes: "65536"',
  report_outcome_by: `is a whole number of seconds, at most ${longestReportSeconds}: "30"`,
  notify: 'names whom to tell, with commas between: "security@example.com"',
}

/** At least one element, which may be empty. */
const listOf = (text: string) => text.split(',').map((each) => each.trim())

function numbered<K extends 'limitBytes' | 'reportSeconds'>(text: string, most: number, name: K) {
  const number = /^[1-9]\d{0,15}$/.test(text) ? Number(text) : Number.NaN
  return number <= most ? { [name]: number } : undefined
}
