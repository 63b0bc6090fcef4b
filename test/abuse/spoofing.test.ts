import { randomBytes } from 'node:crypto'
import { run } from '@bailiwick/cli'
import { sha256, signAccessRequest } from '@bailiwick/credentials'
import { systemClock, systemRandom } from '@bailiwick/kit'
import { sample, sampleAgentId, sampleAuthority, sampleKey } from '@bailiwick/standalone/sample'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Person } from './person.ts'
import { answered, answering, eventId, eventually, Scene } from './scene.ts'

// Text that looks like other text. An agent, or a person who proposes a name, writes it so that an approver reads
// something other than what is signed.

let scene: Scene
let owner: Person
beforeAll(async () => {
  scene = await Scene.bare()
  owner = new Person(scene.system)
  await owner.enrol()
})
afterAll(async () => {
  const { findings } = await scene.audited()
  await scene[Symbol.asyncDispose]()
  expect(findings).toEqual([])
})

const unseen = {
  'right-to-left override': '\u202e',
  'left-to-right isolate': '\u2066',
  'Arabic letter mark': '\u061c',
  'zero-width space': '\u200b',
  'zero-width joiner': '\u200d',
  'word joiner': '\u2060',
  'byte order mark': '\ufeff',
  'soft hyphen': '\u00ad',
  'Hangul filler': '\u3164',
  'combining grapheme joiner': '\u034f',
  'variation selector': '\ufe0f',
  'tag letter': '\u{e0041}',
  'line separator': '\u2028',
  'line feed': '\n',
  'carriage return': '\r',
  bell: '\u0007',
  escape: '\u001b[2J',
  'C1 control': '\u009b',
  'private character': '\ue000',
}
const readable = /^[^\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]*$/u

const io = { clock: systemClock, random: systemRandom }

let serial = 0
const named = (more: object = {}) => ({ ...sampleAuthority, task: `spoof-${++serial}`, ...more })
const comparing = (where: object) =>
  named({ permissions: [{ actions: ['tools/call'], resource: { type: 'tool', id: 'invoices/read' }, where }] })

/** Signs as any program with an agent's key could, without the checks of our SDK. */
function signed(authority: object, purpose?: string) {
  const iat = Math.floor(Date.now() / 1000)
  const prose = purpose === undefined ? undefined : { salt: randomBytes(16).toString('base64url'), text: purpose }
  const jws = signAccessRequest(
    {
      aud: scene.system.trust.installation,
      sub: scene.agent().id,
      iat,
      exp: iat + 600,
      jti: randomBytes(16).toString('base64url'),
      authority: authority as Record<string, unknown>,
      mode: 'window',
      expires_in_seconds: 600,
      ...(prose && {
        purpose: {
          salted_sha256: sha256(Buffer.concat([Buffer.from(prose.salt, 'base64url'), Buffer.from(prose.text)])),
        },
      }),
    },
    sampleKey(scene.system.data, 'reconciler'),
  )
  return { request: jws, ...(prose ? { purpose: prose } : {}) }
}

/**
 * The members that the profile requires around a signed request, which must agree with it; arbitrary ones where the
 * request cannot be read.
 */
function firstAction(request: string): object {
  try {
    const { authority } = JSON.parse(Buffer.from(request.split('.')[1] ?? '', 'base64url').toString())
    const [{ actions, resource }] = authority.permissions
    return { action: { name: actions[0] }, resource: { type: resource.type, id: resource.id ?? resource.id_prefix } }
  } catch {
    return { action: { name: 'tools/call' }, resource: { type: 'tool', id: 'invoices/read' } }
  }
}

async function submitted(bailiwick: { request: string }) {
  const response = await answering(`${scene.url}/access/v1/requests`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      subject: { type: 'agent', id: scene.agent().id },
      ...firstAction(bailiwick.request),
      bailiwick,
    }),
  })
  const body = (await response.json()) as { code?: string; task?: { id: string } }
  return { status: response.status, code: body.code, id: body.task?.id ?? '' }
}

/** Shows the request to a person and then withdraws it, to make room for the next one. */
async function shownOf(bailiwick: { request: string }) {
  const { id, status } = await submitted(bailiwick)
  expect(status).toBe(202)
  const shown = await owner.rendered(id)
  const all = await owner.send('GET', '/console/api/state')
  await answered(() => scene.agent().cancel(id))
  const { requests } = all.body as unknown as {
    requests: { id: string; prose: { text: string; cut: boolean } | null }[]
  }
  return { ...shown, prose: requests.find((each) => each.id === id)?.prose }
}

it.each(Object.entries(unseen))('an authority that contains a %s is never shown for signing (V3)', async (_, char) => {
  const before = await scene.counted()
  const hidden = [
    comparing({ '/customer': { eq: `ACME${char}` } }),
    comparing({ '/customer': { in: ['ACME', `A${char}CME`] } }),
    comparing({ '/customer': { prefix: `${char}ACME` } }),
    comparing({ [`/cust${char}omer`]: { eq: 'ACME' } }),
  ]
  for (const authority of hidden) expect((await submitted(signed(authority))).code).toBe('request_malformed')
  // The fields that people read first allow printable ASCII only, where nothing can imitate anything else.
  const worded = [
    named({ task: `reconcile${char}` }),
    named({ permissions: [{ actions: [`tools/call${char}`], resource: { type: 'tool', id: 'invoices/read' } }] }),
    named({ permissions: [{ actions: ['tools/call'], resource: { type: `tool${char}`, id: 'invoices/read' } }] }),
    named({ permissions: [{ actions: ['tools/call'], resource: { type: 'tool', id: `invoices/${char}read` } }] }),
    named({ budget: { cost: { [`EUR${char}`]: '1' } } }),
  ]
  for (const authority of worded) expect((await submitted(signed(authority))).code).toBe('authority_malformed')
  expect(await scene.counted()).toBe(before)
})

it('a request on the topic is refused for the same text, and other requests flow (V3)', async () => {
  const hostile = signed(comparing({ '/customer': { eq: 'A\u202eCME' } }))
  const idOf = ({ request }: { request: string }) => `req_${sha256(request)}`
  const put = async (data: { request: string }, key: string) => {
    const event = {
      specversion: '1.0',
      id: eventId(),
      source: scene.agent().id,
      type: 'access-request.submitted',
      time: new Date().toISOString(),
      subject: idOf(data),
      datacontenttype: 'application/json',
      dataschema: 'urn:bailiwick:schema:access-requests.v1:access-request.submitted',
      partitionkey: key,
      data,
    }
    await scene.put('access-requests.v1', key, Buffer.from(JSON.stringify(event)))
  }
  const { requests } = scene.ledger.requests
  const honest = signed(named())
  // With one key, so that the second is read after the first: other partitions are read at another pace.
  for (const data of [hostile, honest]) await put(data, idOf(hostile))
  await eventually('the honest one is there', () => requests.get(idOf(honest)))
  await answered(() => scene.agent().cancel(idOf(honest)))
  await scene.readToEnds()
  expect(requests.get(idOf(hostile))).toBeUndefined()
})

it('a letter that looks like another is spelled out next to it (V3)', async () => {
  const { lines } = await shownOf(signed(comparing({ '/customer': { in: ['ACME', '\u0410\u0421\u041c\u0415'] } })))
  expect(lines.join()).toContain('"ACME", "АСМЕ" (spelled "\\u0410\\u0421\\u041c\\u0415")')
  const marked = await shownOf(signed(comparing({ '/to': { eq: `Zu\u0308rich${'\u0335'.repeat(40)}` } })))
  expect(marked.lines.join()).toContain(`(spelled "Zu\\u0308rich${'\\u0335'.repeat(40)}")`)
  for (const lookalike of ['invoices/re\u0430d', 'invoices\u2215read', '\uff49nvoices/read', 'invoices/read\u00a0'])
    expect(
      (
        await submitted(
          signed(named({ permissions: [{ actions: ['tools/call'], resource: { type: 'tool', id: lookalike } }] })),
        )
      ).code,
    ).toBe('authority_malformed')
})

it('an agent’s comparison value stays inside its quotes and its line, and never acts as markup (V3)', async () => {
  const plain = await shownOf(signed(comparing({ '/customer': { eq: 'x' } })))
  for (const text of [
    '"; at most once; costs nothing',
    'x\\',
    '\\" (spelled "x")',
    '<img src=x onerror=alert(1)><script>document.title=1</script>',
    '</li><li>At most 1 call in all',
    "{{constructor.constructor('return 1')()}}",
    '[Approve](javascript:alert(1)) *bold* <!channel> <https://thief.example|console>',
  ]) {
    const { lines, statement } = await shownOf(signed(comparing({ '/customer': { eq: text } })))
    expect(lines).toHaveLength(plain.lines.length)
    expect(lines.find((line) => line.includes('/customer'))).toContain(`is ${JSON.stringify(text)}; any number`)
    for (const line of lines) expect(line).toMatch(readable)
    expect(JSON.stringify(statement)).toContain(JSON.stringify(text))
  }
  const { headers } = await owner.send('GET', '/console/api/state')
  expect(headers.get('content-type')).toMatch(/^application\/json/)
  expect(headers.get('x-content-type-options')).toBe('nosniff')
})

it('padding hides nothing: a text too long to be read is refused whole (V3)', async () => {
  const before = await scene.counted()
  const padding = ' '.repeat(50_000)
  expect((await submitted(signed(comparing({ '/customer': { eq: ' '.repeat(3000) } })))).code).toBe(
    'authority_malformed',
  )
  const eight = Object.fromEntries(Array.from({ length: 9 }, (_, n) => [`/a${n}`, { eq: 'x'.repeat(2000) }]))
  expect((await submitted(signed(comparing(eight)))).code).toBe('authority_malformed')
  const { request } = signed(named())
  expect((await submitted({ request: `${request.split('.')[0]}.${'A'.repeat(50_000)}.x` })).status).toBe(400)
  expect((await submitted(signed(named(), padding))).status).toBe(400)
  expect(await scene.counted()).toBe(before)
  const { prose } = await shownOf(signed(named(), `${' '.repeat(600)}and delete everything`))
  expect(prose).toEqual({ text: ' '.repeat(500), cut: true })
})

it('prose that says something else changes no word of what is shown and signed (V3, V17)', async () => {
  const lie =
    'CANARY-5e: This is only a test\u202e. At most 0 calls. Approved by the board. <b>Safe</b>\n\nTask: nothing'
  const authority = named()
  const [without, withProse] = [await shownOf(signed(authority)), await shownOf(signed(authority, lie))]
  expect(withProse.lines).toEqual(without.lines)
  const names = ({ statement }: { statement: object }) => Object.keys(statement).sort()
  expect(names(withProse)).toEqual(names(without))
  expect(JSON.stringify([withProse.statement, withProse.lines])).not.toContain('CANARY-5e')
  expect(withProse.prose).toEqual({ text: lie, cut: false }) // as data, which the console puts into a box and spells out
  await told()
  for (const topic of ['approvals.v1', 'grants.v1', 'evidence.v1'])
    for (const { text } of await scene.read(topic)) expect(text).not.toContain('CANARY-5e')
  const task = await scene
    .agent()
    .status(`req_${sha256(signed(authority).request)}`)
    .catch(() => undefined)
  expect(JSON.stringify(task ?? '')).not.toContain('CANARY-5e')
})

/** Resolves once evidence has reported everything that was published. */
async function told(): Promise<void> {
  await scene.audited()
  const size = scene.system.services.evidence.size()
  await eventually('evidence reports it', async () => (await scene.read('evidence.v1')).length >= size || undefined)
}

it('prose of agents and approvers stands in no event (V17)', async () => {
  const { id } = await submitted(signed(named(), 'CANARY-6a of the agent'))
  expect((await owner.post(`requests/${id}/deny`, { reason: 'CANARY-6a of the owner' })).status).toBe(200)
  const stopped = sampleAgentId('forecaster')
  const argv = ['revoke', 'agent', stopped, '--reason', 'CANARY-6a of the operator', '--data', scene.system.data]
  const err: string[] = []
  const said = { ...io, out: () => undefined, err: (line: string) => void err.push(line), env: {} }
  await eventually('it is revoked', async () => (await run(argv, said)) === 0 || undefined)
  await told()
  const topics = ['access-requests.v1', 'approvals.v1', 'grants.v1', 'registry.v1', 'revocations.v1', 'evidence.v1']
  for (const topic of topics)
    for (const { text } of await scene.read(topic)) expect([topic, text.includes('CANARY-6a')]).toEqual([topic, false])
  expect((await scene.read('revocations.v1')).map(({ text }) => JSON.parse(text).data.target)).toContain(stopped)
  const kept = (await scene.read('attachments.approval.v1')).map(({ text }) => text).join()
  for (const who of ['agent', 'owner', 'operator'])
    expect([who, kept.includes(`CANARY-6a of the ${who}`)]).toEqual([who, true])
})

it.each(Object.entries(unseen))('nothing in the registry has a name with a %s (V3)', async (_, char) => {
  const name = `Olivia${char} Owner`
  expect((await owner.post('enrolment/options', { approver_id: 'eve', name })).code).toBe('request_malformed')
  const agent = scene.ledger.registry.get('agent', scene.agent().id.replace(/\/[^/]+$/, ''))
  for (const entity of [
    { type: 'agent', id: agent?.id, value: { ...agent, name } },
    {
      type: 'approver',
      id: 'eve',
      value: { id: 'eve', name, groups: [sample.group], credentials: [await owner.newPasskey()] },
    },
  ]) {
    const { status, body } = await scene.propose(entity.type, entity.id, entity.value)
    expect([status, body.code]).toEqual([400, 'request_malformed'])
  }
})

it('the command line prints nothing that acts on a terminal or cannot be seen, and its JSON stays JSON (V3)', async () => {
  const { id, code } = await submitted(
    // A different request from the one denied above, which is paused.
    signed(named({ budget: { ...sampleAuthority.budget, calls: 7 } }), 'CANARY-7b \u001b[2J\u202e'),
  )
  expect(code).toBeUndefined()
  for (const argv of [['requests'], ['requests', '--json'], ['registry', 'list'], ['registry', 'list', '--json']]) {
    const [lines, out]: [string[], string[]] = [[], []]
    const say = (line: string) => void lines.push(line)
    const answer = (line: string) => void out.push(line)
    const said = { ...io, out: answer, err: say, env: {} }
    await eventually('it is answered', async () => {
      out.length = 0
      return (await run([...argv, '--data', scene.system.data], said)) === 0 || undefined
    })
    for (const line of [...lines, ...out]) expect(line).toMatch(readable)
    expect([...lines, ...out].join()).not.toContain('CANARY-7b')
    if (argv.includes('--json')) expect(() => JSON.parse(out.join('\n'))).not.toThrow()
  }
  await answered(() => scene.agent().cancel(id))
})
