/** A text that a person typed, as the member that it means, or what is wrong with it. */
export type Read = { ok: true; value: unknown } | { ok: false; problem: string }

const good = (value: unknown): Read => ({ ok: true, value })
const bad = (problem: string): Read => ({ ok: false, problem })

const lines = (text: string) =>
  text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')

const units = { h: 3600, min: 60, s: 1 } as const

function spelledSeconds(seconds: number): string {
  const unit = seconds > 0 && seconds % 3600 === 0 ? 'h' : seconds > 0 && seconds % 60 === 0 ? 'min' : 's'
  return `${seconds / units[unit]} ${unit}`
}

type Scope = { type: string; id?: string; id_prefix?: string }

const json = {
  spell: (value: unknown) => (value === undefined ? '' : JSON.stringify(value, undefined, 2)),
  read: (text: string): Read => {
    if (text.trim() === '') return good(undefined)
    try {
      return good(JSON.parse(text))
    } catch {
      return bad('This is not JSON')
    }
  },
}

function scopesIn(text: string): Scope[] {
  return lines(text).map((line) => {
    const [type = '', ...rest] = line.split(/\s+/)
    const id = rest.join(' ')
    if (id === '') return { type }
    return id.endsWith('*') ? { type, id_prefix: id.slice(0, -1) } : { type, id }
  })
}

const scopes = {
  spell: (value: unknown) =>
    (Array.isArray(value) ? (value as Scope[]) : [])
      .map(({ type, id, id_prefix: prefix }) =>
        [type, id ?? (prefix === undefined ? '' : `${prefix}*`)].join(' ').trim(),
      )
      .join('\n'),
  read: (text: string) => good(scopesIn(text)),
}

/** Each kind of member that is edited as text: how it is spelled, and how it is read. */
export const textKinds = {
  line: { spell: (value: unknown) => String(value ?? ''), read: (text: string) => good(text.trim()) },
  whole: {
    spell: (value: unknown) => String(value ?? ''),
    read: (text: string) => (/^\d{1,9}$/.test(text.trim()) ? good(Number(text)) : bad('A whole number')),
  },
  seconds: {
    spell: (value: unknown) => (value === undefined ? '' : spelledSeconds(Number(value))),
    read: (text: string): Read => {
      const [, count, unit = 's'] = /^(\d{1,6})\s*(s|min|h)?$/.exec(text.trim()) ?? []
      if (count === undefined) return bad('A time such as 45 s, 30 min or 8 h')
      return good(Number(count) * (units[unit as keyof typeof units] ?? 1))
    },
  },
  lines: { spell: (value: unknown) => list(value).join('\n'), read: (text: string) => good(lines(text)) },
  labels: {
    spell: (value: unknown) => list(value).join(', '),
    read: (text: string) => {
      const labels = text.split(/[\s,]+/).filter((label) => label !== '')
      const wrong = labels.find((label) => !/^[a-z][a-z0-9_]{0,63}$/.test(label))
      return wrong === undefined ? good(labels) : bad(`“${wrong}” is not a label: small letters, digits and _`)
    },
  },
  scopes,
  /** As asks name resources. */
  asked: {
    spell: scopes.spell,
    read: (text: string): Read => {
      const read = scopesIn(text)
      const odd = read.find(({ id_prefix: prefix }) => prefix !== undefined && !/^https?:\/\/.+\/$/.test(prefix))
      return odd === undefined
        ? good(read)
        : bad(`Only addresses have a prefix, as api https://host/path/*. Name ${odd.type} one by one, or by its labels`)
    },
  },
  amounts: {
    spell: (value: unknown) =>
      Object.entries(Object(value ?? {}) as Record<string, string>)
        .map(([currency, amount]) => `${amount} ${currency}`)
        .join('\n'),
    read: (text: string) => {
      const amounts = lines(text).map((line) => /^(\d+(?:\.\d+)?)\s+([A-Za-z]{3})$/.exec(line))
      if (amounts.some((found) => found === null)) return bad('An amount and a currency, as 500.00 EUR')
      return good(Object.fromEntries(amounts.map((found) => [(found?.[2] ?? '').toUpperCase(), found?.[1] ?? ''])))
    },
  },
  json,
  jwk: json,
  attestor: json,
} as const

export type TextKind = keyof typeof textKinds

export const isText = (kind: string): kind is TextKind => Object.hasOwn(textKinds, kind)

/** Whether an optional member would say nothing. */
export const isEmpty = (value: unknown): boolean =>
  value === undefined ||
  value === '' ||
  (Array.isArray(value) && value.length === 0) ||
  (typeof value === 'object' && value !== null && Object.keys(value).length === 0)

const list = (value: unknown): string[] => (Array.isArray(value) ? value.map(String) : [])
