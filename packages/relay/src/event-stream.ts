import { ServiceError } from '@bailiwick/errors'
import { redactBytes } from '@bailiwick/pep'

const longestEvent = 1_048_576
const decoder = () => new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * Hides fields in a stream of server-sent events, event by event: each is passed on as soon as it is whole. The data of an event must then
 * be JSON, since no field can be found for certain in any other text; otherwise it throws `answer_withheld`. Comments are dropped: they
 * have no meaning, but could hold what must be hidden. Of events without data, only id, type and retry time are passed on.
 */
export function redactEvents(fields: readonly string[]): { push(chunk: Uint8Array): Uint8Array } {
  const text = decoder()
  let rest = ''
  const take = (more: string): Uint8Array => {
    rest += more
    if (rest.length > longestEvent) throw withheld('an event is too long')
    // A carriage return at the end may be the first half of a line end.
    const whole = rest.endsWith('\r') ? rest.slice(0, -1) : rest
    let shown = ''
    let from = 0
    for (const end of whole.matchAll(/(?:\r\n|\n|\r(?!\n)){2}/g)) {
      shown += redactEvent(whole.slice(from, end.index), fields)
      from = end.index + end[0].length
    }
    rest = rest.slice(from)
    return Buffer.from(shown)
  }
  return {
    push: (chunk) => take(decoded(() => text.decode(chunk, { stream: true }))),
  }
}

function decoded(decode: () => string): string {
  try {
    return decode()
  } catch {
    throw withheld('the events are not UTF-8')
  }
}

function redactEvent(event: string, fields: readonly string[]): string {
  const data: string[] = []
  const others: string[] = []
  for (const line of event.split(/\r\n|\n|\r/)) {
    const [, name = '', value = ''] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? []
    if (name === 'data') data.push(value)
    else if (isPlain(name, value)) others.push(line)
    else if (line !== '' && !line.startsWith(':')) throw withheld('an event has a field that may not leave')
  }
  const lines = data.length === 0 ? others : [...others, `data: ${redactData(data.join('\n'), fields)}`]
  return lines.length === 0 ? '' : `${lines.join('\n')}\n\n`
}

/** Ids and types are short names; longer ones could carry a whole answer. */
const isPlain = (name: string, value: string) =>
  (name === 'id' || name === 'event' || name === 'retry') && /^[\w.:/+=-]{0,128}$/.test(value)

function redactData(data: string, fields: readonly string[]): string {
  if (data === '') return data // servers begin a resumable stream with such an event
  try {
    return redactBytes(data, fields).toString()
  } catch {
    throw withheld('an event holds no plain JSON')
  }
}

const withheld = (detail: string) => new ServiceError('answer_withheld', detail)
