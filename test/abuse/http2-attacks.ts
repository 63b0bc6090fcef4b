import { type Field, Http2Wire, type Outcome } from '@bailiwick/host/http2-wire'
import { type ApiAttacker, open } from './api-attacks.ts'
import { passing } from './raw-request.ts'
import { eventually } from './scene.ts'

export interface Attack2 {
  method?: string
  target?: string
  /** The path that the proof is for. */
  path?: string
  body?: string
  /** Instead of the fields that the request would have. */
  fields?: (fields: Field[]) => Field[]
  /** Instead of the frames that the request would have, on stream 1. */
  frames?: (wire: Http2Wire, fields: readonly Field[]) => void
}

/** What came back on stream 1, and whether anything reached the API. */
export interface Seen2 {
  arrived: number
  /** Of a problem document. */
  code: string | undefined
  /** There was an answer with a good status. */
  isAnswered: boolean
  outcome: Outcome
}

/** Makes the request over HTTP/2, frame by frame, and again while a busy machine keeps it from being decided. */
export async function attackOver2(attacker: ApiAttacker, made: Attack2): Promise<Seen2> {
  const { api, world } = attacker.at
  const port = Number(new URL(world.url).port)
  let arrived = 0
  const outcome = await eventually('it is decided', async () => {
    using wire = await Http2Wire.open(port)
    const fields = fieldsOf(attacker, made)
    const before = api.arrived.length
    if (made.frames !== undefined) made.frames(wire, fields)
    else {
      wire.headers(1, fields, { ends: made.body === undefined })
      if (made.body !== undefined) wire.data(1, made.body)
    }
    const given = await wire.ended(1)
    const code = codeIn(given)
    arrived += api.arrived.length - before
    if (!passing.has(code ?? '') && !code?.includes('nonce')) return given
    // Over HTTP/1.1 it learns the nonce, which is compressed in HTTP/2.
    await attacker.attack({})
    return undefined
  })
  const code = codeIn(outcome)
  const isAnswered = outcome.isWhole && code === undefined
  return { arrived, code, isAnswered, outcome }
}

function fieldsOf({ agent, at }: ApiAttacker, { method = 'GET', target = open, path = open, body, fields }: Attack2) {
  const { url } = at.world
  const own = agent.fields(method, `${url}${path}`).map((line): Field => {
    const [name = '', ...value] = line.split(': ')
    return [name.toLowerCase(), value.join(': ')]
  })
  const usual: Field[] = [
    ...([
      [':method', method],
      [':scheme', 'http'],
      [':authority', new URL(url).host],
      [':path', target],
      ['accept', 'application/json'],
    ] as const),
    ...own,
    ...(body === undefined
      ? []
      : [['content-type', 'application/json'] as const, ['content-length', String(Buffer.byteLength(body))] as const]),
  ]
  return fields?.(usual) ?? usual
}

const codeIn = ({ body }: Outcome) => /"code":"([a-z_]+)"/.exec(body)?.[1]

export const without2 = (fields: readonly Field[], name: string): Field[] => fields.filter(([each]) => each !== name)
/** The same field with another value, or several, in its place. */
export const with2 =
  (name: string, ...values: string[]) =>
  (fields: readonly Field[]): Field[] =>
    fields.flatMap((field) => (field[0] === name ? values.map((value): Field => [name, value]) : [field]))
export const plus2 =
  (...more: Field[]) =>
  (fields: readonly Field[]): Field[] => [...fields, ...more]
