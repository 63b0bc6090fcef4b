import type { Authority, Continuous, Narrowed } from '../types.ts'

/** The fields of the form, named by their subject: the index of a permission, the JSON pointer of an argument. */
export const field = {
  /** The numbers that the form began with. */
  preset: 'preset',
  keep: (n: number) => `keep ${n}`,
  uses: (n: number) => `uses ${n}`,
  argument: (n: number, pointer: string) => `argument ${n} ${pointer}`,
  cost: (currency: string) => `cost ${currency}`,
}

/**
 * The form's request to the server, which checks it against the agent's request. A string says what is wrong with the form. `asked`: what
 * the agent asked for, if the form began with less.
 */
export function narrowedBy(
  {
    authority,
    asked = authority,
    continuous,
  }: { authority: Authority; asked?: Authority; continuous: Continuous | null },
  data: FormData,
  now: number,
): Narrowed | string {
  const text = (name: string) => String(data.get(name) ?? '').trim()
  const numbered = (name: string, most: number) => (text(name) === '' ? most : Number(text(name)))
  const permissions = authority.permissions.flatMap((permission, n) => {
    if (!data.has(field.keep(n))) return []
    const uses = text(field.uses(n))
    const { where } = permission
    return [
      {
        ...permission,
        ...(where === undefined
          ? {}
          : {
              where: Object.fromEntries(
                Object.entries(where).map(([pointer, bounds]) => {
                  const max = text(field.argument(n, pointer))
                  return [pointer, max === '' ? bounds : { ...bounds, max }]
                }),
              ),
            }),
        ...(uses === '' ? {} : { max_uses: Number(uses) }),
      },
    ]
  })
  if (permissions.length === 0) return 'Nothing is left. Deny it instead.'
  const budget = { ...authority.budget }
  if (text('calls') !== '') budget.calls = Number(text('calls'))
  if (text('egress') !== '') budget.egress_bytes = Number(text('egress'))
  if (budget.cost !== undefined)
    budget.cost = Object.fromEntries(Object.keys(budget.cost).map((currency) => [currency, text(field.cost(currency))]))
  const narrowed = {
    ...authority,
    permissions,
    budget,
    max_depth: numbered('depth', authority.max_depth),
    max_children: numbered('children', authority.max_children),
  }
  const fresh = continuous && {
    reattest_seconds: numbered('reattest', continuous.reattest_seconds),
    outcome_seconds: numbered('outcome', continuous.outcome_seconds),
  }
  const minutes = text('minutes')
  const answer = {
    ...(same(narrowed, asked) ? {} : { authority: narrowed }),
    ...(fresh === null || same(fresh, continuous) ? {} : { continuous: fresh }),
    ...(minutes === '' ? {} : { not_after: new Date(now + Number(minutes) * 60_000).toISOString() }),
  }
  if (Object.keys(answer).length === 0) return 'Nothing is narrower yet. Change something, or approve as asked.'
  return answer
}

const same = (a: unknown, b: unknown) => JSON.stringify(inOrder(a)) === JSON.stringify(inOrder(b))

/** Compares values in any order of members. */
function inOrder(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inOrder)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, member]) => [name, inOrder(member)]),
  )
}
