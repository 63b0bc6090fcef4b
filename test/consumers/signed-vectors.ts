import { type EventTypeOf, encodeEnvelope, type ServiceName, type TopicName } from '@bailiwick/contracts'
import { exampleEvent } from '@bailiwick/contracts/examples'
import {
  type EventPurpose,
  encodeBase64url,
  encodeTrust,
  generateKey,
  jcsHash,
  type SigningKey,
  signEvent,
  signTrust,
  type Trust,
} from '@bailiwick/credentials'

/** One event as it stands on its topic, and a reader's verdict. In order: later ones build on earlier ones. */
export interface SignedVector {
  desc: string
  topic: TopicName
  /** The record's key on Kafka. */
  key: string
  event: string
  /** For a readable decision, the line to print; null: none, because it is not a decision or was there before. */
  want?: string | null
  /** The reason why the event is not authentic; null: it is its producer's. */
  wantErr: string | null
}

export interface SignedVectors {
  trust: Uint8Array
  vectors: SignedVector[]
}

const noon = Date.parse('2026-07-01T12:00:00.000Z')
const at = (seconds: number) => new Date(noon + seconds * 1000).toISOString()
const day = 24 * 3600
const installation = 'ins_0123456789abcdef0123'

const root = generateKey('root')
const keys = {
  issuer: generateKey('issuer-event'),
  pdp: generateKey('pdp-event'),
  otherPdp: generateKey('pdp-event'),
  retiredPdp: generateKey('pdp-event'),
  futurePdp: generateKey('pdp-event'),
  unknownPdp: generateKey('pdp-event'),
  evidence: generateKey('evidence-event'),
  permit: generateKey('permit'),
}

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString()
const jwkOf = (key: SigningKey) => key.publicJwk as Trust['root']['jwk']

/** Any header and payload, signed: a forger is not bound to our own functions. */
function compact(header: object, payload: object, key: SigningKey): string {
  const signed = `${encodeBase64url(JSON.stringify(header))}.${encodeBase64url(JSON.stringify(payload))}`
  return `${signed}.${encodeBase64url(key.sign(Buffer.from(signed)))}`
}

interface Certified {
  service: ServiceName
  purpose: string
  topics: readonly string[]
  from?: number
  until?: number
}

const certificates: Record<string, Certified> = {
  issuer: { service: 'issuer', purpose: 'issuer-event', topics: ['registry.v1', 'grants.v1', 'revocations.v1'] },
  pdp: { service: 'policy-decision', purpose: 'pdp-event', topics: ['decisions.v1', 'heads.v1'] },
  evidence: { service: 'evidence', purpose: 'evidence-event', topics: ['findings.v1', 'heads.v1'] },
  permit: { service: 'policy-decision', purpose: 'permit', topics: [] },
}

function certificate(
  key: SigningKey,
  { service, purpose, topics, from = -day, until = 365 * day }: Certified,
  by: { key?: SigningKey; kid?: string; typ?: string; installation?: string } = {},
) {
  const signer = by.key ?? root
  const header = { alg: 'ES256', kid: by.kid ?? signer.kid, typ: by.typ ?? 'bailiwick-key+jws' }
  const facts = { purpose, service, topics, not_before: at(from), not_after: at(until) }
  const claims = { installation: by.installation ?? installation, kid: key.kid, jwk: jwkOf(key), ...facts }
  return { id: key.kid, jwk: jwkOf(key), ...facts, certificate: compact(header, claims, signer) }
}

const vectors: SignedVector[] = []

interface Told {
  id?: string
  source?: string
  time?: string
  version?: number | undefined
  about?: string
  data?: object
  dataschema?: string
}

let ids = 0
function unsigned(topic: TopicName, type: string, told: Told): Uint8Array {
  const about = told.about ?? 'grt_reconcile-q3-invoices'
  const { data, ...example } = exampleEvent(topic, type as EventTypeOf<TopicName>)
  return encodeEnvelope({
    ...example,
    id: told.id ?? `evt_${String(++ids).padStart(20, '0')}`,
    source: told.source ?? (topic === 'registry.v1' ? '/issuer/01EXAMPLE' : '/policy-decision/01EXAMPLE'),
    time: told.time ?? at(ids),
    subject: about,
    partitionkey: about,
    version: told.version,
    dataschema: told.dataschema ?? example.dataschema,
    data: told.data ?? data,
  })
}

const signed = (topic: TopicName, type: string, told: Told, key: SigningKey<EventPurpose>) =>
  text(signEvent(unsigned(topic, type, told), key))

function add(
  desc: string,
  topic: TopicName,
  event: string,
  answer: { want?: string | null; err?: string; key?: string },
) {
  const key = answer.key ?? (/"partitionkey":"((?:[^"\\]|\\.)*)"/.exec(event)?.[1] as string)
  const want = topic === 'decisions.v1' && answer.err === undefined ? { want: answer.want ?? null } : {}
  vectors.push({ desc, topic, key: JSON.parse(`"${key}"`), event, ...want, wantErr: answer.err ?? null })
}

function register(
  desc: string,
  value: ReturnType<typeof certificate>,
  more: { verb?: string; version?: number; err?: string } = {},
) {
  const type = `service-key.${more.verb ?? 'registered'}`
  const authorization = { kind: 'root', jws: 'e30.e30.AA' } // these vectors are not about who may change the registry
  const entity = { type: 'service-key', id: value.id }
  const data = { entity, value, hash: jcsHash(value), authorization }
  const told = { about: `service-key ${value.id}`, version: more.version ?? 1, data, time: at(-day + ++ids) }
  add(
    desc,
    'registry.v1',
    signed('registry.v1', type, told, keys.issuer),
    more.err === undefined ? {} : { err: more.err },
  )
}

function registry(): void {
  const { issuer, pdp, evidence, permit } = certificates as Record<'issuer' | 'pdp' | 'evidence' | 'permit', Certified>
  register(
    'the issuer’s key: its event is signed by the key that it brings, and the root certified it',
    certificate(keys.issuer, issuer),
  )
  register('a PDP’s key', certificate(keys.pdp, pdp))
  register('another PDP’s key', certificate(keys.otherPdp, pdp))
  register('a PDP’s key that will be retired', certificate(keys.retiredPdp, pdp))
  register('a PDP’s key that is not valid yet', certificate(keys.futurePdp, { ...pdp, from: 100 * day }))
  register('evidence’s key', certificate(keys.evidence, evidence))
  register('a key that signs permits, and no events', certificate(keys.permit, permit))
  const stranger = generateKey('root')
  const forged = (desc: string, by: Parameters<typeof certificate>[2]) =>
    register(`no effect: ${desc}`, certificate(keys.unknownPdp, pdp, by))
  forged('a certificate by another root', { key: stranger })
  forged('… that claims to be ours', { key: stranger, kid: root.kid })
  forged('a certificate of another installation', { installation: 'ins_ffffffffffffffffffff' })
  forged('a genesis statement’s typ', { typ: 'bailiwick-genesis+jws' })
  register('no effect: a PDP’s purpose for the issuer', certificate(keys.unknownPdp, { ...pdp, service: 'issuer' }))
  const wider = certificate(keys.evidence, { ...evidence, topics: [...evidence.topics, 'decisions.v1'] })
  register('no effect: a certified key is made no wider', wider, { verb: 'changed', version: 2 })
  const gone = { type: 'service-key', id: keys.retiredPdp.kid }
  const data = { entity: gone, authorization: { kind: 'root', jws: 'e30.e30.AA' } }
  const told = { about: `service-key ${gone.id}`, version: 2, data, time: at(-60) }
  add('the PDP’s key is retired', 'registry.v1', signed('registry.v1', 'service-key.retired', told, keys.issuer), {})
  const other = { entity: { type: 'service-key', id: keys.pdp.kid }, authorization: data.authorization }
  const byPdp = signed(
    'registry.v1',
    'service-key.retired',
    { ...told, about: `service-key ${keys.pdp.kid}`, data: other },
    keys.otherPdp,
  )
  add('a PDP retires another PDP’s key', 'registry.v1', byPdp, { err: 'key_purpose_wrong' })
  const agent = { about: 'agent spiffe://example.org/agent/reconciler', version: 1, time: at(-60) }
  add(
    'an agent, which says nothing of keys',
    'registry.v1',
    signed('registry.v1', 'agent.registered', agent, keys.issuer),
    {},
  )
}

const allowedData = exampleEvent('decisions.v1', 'decision.allowed').data as Record<string, unknown>
const deniedData = exampleEvent('decisions.v1', 'decision.denied').data as Record<string, unknown>
const agent = 'spiffe://example.org/agent/reconciler/one'
const tree = 'grt_reconcile-q3-invoices'

const decisionOf = (n: number) => `dec_${String(n).padStart(20, '0')}`
const callOf = (n: number) => `call-${String(n).padStart(20, '0')}`
const allow = (n: number, more: object = {}) => ({
  ...allowedData,
  decision_id: decisionOf(n),
  call_id: callOf(n),
  ...more,
})
const deny = (n: number, more: object = {}) => ({ ...deniedData, decision_id: decisionOf(n), ...more })
const line = (...fields: string[]) => fields.join('\t')
const acted = (seconds: number, verdict: string, reason: string, n: number) =>
  line(at(seconds), verdict, reason, agent, 'tools/call', 'tool:adjustments.post', tree, decisionOf(n))

function decisions(): void {
  const event = (type: string, told: Told, key: SigningKey<EventPurpose> = keys.pdp) =>
    signed('decisions.v1', type, told, key)
  const on = (desc: string, bytes: string, answer: { want?: string | null; err?: string; key?: string }) =>
    add(desc, 'decisions.v1', bytes, answer)

  const first = event('decision.allowed', { id: 'evt_aaaaaaaaaaaaaaaaaaaa', version: 1, time: at(1), data: allow(1) })
  on('an ALLOW', first, { want: acted(1, 'ALLOW', 'allowed', 1) })
  on('the same event again is one event', first, {})
  on(
    'other bytes under its id have no effect',
    event('decision.allowed', { id: 'evt_aaaaaaaaaaaaaaaaaaaa', version: 2, time: at(2), data: allow(2) }),
    { want: acted(2, 'VOID', 'allowed', 2) },
  )
  on(
    'the tree’s next ALLOW, evaluated after the first',
    event('decision.allowed', {
      id: 'evt_bbbbbbbbbbbbbbbbbbbb',
      version: 2,
      time: at(3),
      data: allow(3, { after: 'evt_aaaaaaaaaaaaaaaaaaaa' }),
    }),
    { want: acted(3, 'ALLOW', 'allowed', 3) },
  )
  on(
    'another PDP lost the race for version 2',
    event(
      'decision.allowed',
      {
        id: 'evt_cccccccccccccccccccc',
        version: 2,
        time: at(3),
        source: '/policy-decision/02EXAMPLE',
        data: allow(4, { after: 'evt_aaaaaaaaaaaaaaaaaaaa' }),
      },
      keys.otherPdp,
    ),
    { want: acted(3, 'VOID', 'allowed', 4) },
  )
  on(
    '… and the rest of its batch with it: evaluated after what is void',
    event(
      'decision.allowed',
      {
        version: 3,
        time: at(3),
        source: '/policy-decision/02EXAMPLE',
        data: allow(5, { after: 'evt_cccccccccccccccccccc' }),
      },
      keys.otherPdp,
    ),
    { want: acted(3, 'VOID', 'allowed', 5) },
  )
  on(
    'an ALLOW that came too late to be answered',
    event('decision.abandoned', {
      id: 'evt_dddddddddddddddddddd',
      version: 3,
      time: at(4),
      data: { decision_id: decisionOf(3), grant_id: tree, call_id: callOf(3), after: 'evt_bbbbbbbbbbbbbbbbbbbb' },
    }),
    { want: line(at(4), 'ABANDONED', '-', '-', '-', '-', tree, decisionOf(3)) },
  )
  on(
    'an outcome advances the tree, and is no decision',
    event('outcome.reported', {
      id: 'evt_eeeeeeeeeeeeeeeeeeee',
      version: 4,
      time: at(5),
      data: {
        ...(exampleEvent('decisions.v1', 'outcome.reported').data as object),
        decision_id: decisionOf(1),
        grant_id: tree,
      },
    }),
    {},
  )
  on('a version is left out', event('decision.allowed', { version: 6, time: at(6), data: allow(6) }), {
    want: acted(6, 'VOID', 'allowed', 6),
  })
  on(
    'another tree has its own order',
    event('decision.allowed', { version: 7, time: at(7), about: 'grt_another-task-000000', data: allow(7) }),
    { want: acted(7, 'ALLOW', 'allowed', 7).replace(tree, 'grt_another-task-000000') },
  )
  on('a DENY', event('decision.denied', { time: at(8), data: deny(8) }), {
    want: acted(8, 'DENY', 'argument_out_of_bounds', 8),
  })
  on(
    'a DENY of a caller without a credential',
    event('decision.denied', {
      time: at(9),
      about: 'anonymous',
      data: { decision_id: decisionOf(9), reason: 'credential_missing', requestable: true },
    }),
    { want: line(at(9), 'DENY', 'credential_missing', '-', '-', '-', 'anonymous', decisionOf(9)) },
  )
  const hostile = 'a\u001b[2J\tb\\u{9}ü\u202e\u{1F600}'
  const action = { ...(deniedData.action as object), name: 'x y', resource: { type: 'tool', id: hostile } }
  on(
    'a name that would act on a terminal, or forge a column',
    event('decision.denied', { time: at(10), data: deny(10, { action }) }),
    {
      want: line(
        at(10),
        'DENY',
        'argument_out_of_bounds',
        agent,
        'x y',
        'tool:a\\u{1b}[2J\\u{9}b\\u{5c}u{9}\\u{fc}\\u{202e}\\u{1f600}',
        tree,
        decisionOf(10),
      ),
    },
  )
  on(
    'denials in a heap are no single decision',
    event('denials.summarised', {
      time: at(11),
      data: exampleEvent('decisions.v1', 'denials.summarised').data as object,
    }),
    {},
  )
  on('by a key before it was retired', event('decision.denied', { time: at(-61), data: deny(11) }, keys.retiredPdp), {
    want: acted(-61, 'DENY', 'argument_out_of_bounds', 11),
  })

  on('by the same key when it was', event('decision.denied', { time: at(-60), data: deny(12) }, keys.retiredPdp), {
    err: 'token_expired',
  })
  on('by a key that is not valid yet', event('decision.denied', { time: at(12), data: deny(12) }, keys.futurePdp), {
    err: 'token_expired',
  })
  on(
    'by a key that only strangers certified',
    event('decision.denied', { time: at(12), data: deny(12) }, keys.unknownPdp),
    { err: 'key_unknown' },
  )
  on('by the issuer’s key', event('decision.denied', { time: at(12), data: deny(12) }, keys.issuer), {
    err: 'key_purpose_wrong',
  })
  on(
    'by evidence’s key, which is not certified for this topic',
    event('decision.denied', { time: at(12), source: '/evidence/01EXAMPLE', data: deny(12) }, keys.evidence),
    { err: 'key_purpose_wrong' },
  )
  on(
    'by the permit’s key',
    text(detached(unsigned('decisions.v1', 'decision.denied', { time: at(12), data: deny(12) }), keys.permit, {})),
    { err: 'key_purpose_wrong' },
  )
  on(
    'under another service’s name',
    event('decision.denied', { time: at(12), source: '/issuer/01EXAMPLE', data: deny(12) }),
    { err: 'key_purpose_wrong' },
  )

  const good = event('decision.denied', { time: at(13), data: deny(13) })
  const plain = unsigned('decisions.v1', 'decision.denied', { time: at(14), data: deny(14) })
  const jws = /,"jws":"([^"]+)"\}$/.exec(good)?.[1] as string
  const [header = '', , signature = ''] = jws.split('.')
  on('one letter of the reason is another', good.replace('argument_out_of_bounds', 'argument_out_of_boundz'), {
    err: 'signature_invalid',
  })
  on('another event’s signature', `${text(plain).slice(0, -1)},"jws":"${jws}"}`, { err: 'signature_invalid' })
  on('no signature', text(plain), { err: 'event_malformed' })
  on('a byte behind it', `${good}\n`, { err: 'event_malformed' })
  on('a member behind jws', `${good.slice(0, -1)},"x":1}`, { err: 'event_malformed' })
  on('white space before jws', good.replace(',"jws":', ', "jws":'), { err: 'event_malformed' })
  on('a payload inside jws', good.replace(jws, `${header}.e30.${signature}`), { err: 'event_malformed' })
  on(
    'a signature whose unused bits are set',
    good.replace(jws, `${header}..${signature.slice(0, -1)}${flipped(signature)}`),
    { err: 'event_malformed' },
  )
  on('alg none', good.replace(jws, `${encodeBase64url('{"alg":"none"}')}..${signature}`), { err: 'event_malformed' })
  for (const [desc, more] of [
    ['a header of another kind', { typ: 'bailiwick-key+jws' }],
    ['another algorithm', { alg: 'HS256' }],
    ['a header that brings a key', { jwk: jwkOf(keys.pdp) }],
    ['a header that declares itself critical', { crit: ['exp'] }],
  ] as const)
    on(desc, text(detached(plain, keys.pdp, more)), { err: 'token_malformed' })
  on('under another key than its partitionkey', good, { err: 'event_malformed', key: 'grt_another-task-000000' })
  on(
    'a type of another topic',
    text(detached(unsigned('heads.v1', 'head.published', { time: at(15), about: tree }), keys.pdp, {})),
    { err: 'event_type_unknown' },
  )
  for (const [desc, change] of [
    ['one name twice, in any spelling', (t: string) => t.replace('"reason":', '"re\\u0061son":"x","reason":')],
    ['a lone surrogate', (t: string) => t.replace('tools/call', '\\ud800')],
    ['33 levels', (t: string) => t.replace('"data":{', `"data":{"x":${'['.repeat(31)}${']'.repeat(31)},`)],
  ] as const)
    on(`signed, but no strict JSON: ${desc}`, text(detached(Buffer.from(change(text(plain))), keys.pdp, {})), {
      err: 'json_malformed',
    })
  on(
    'and the tree goes on',
    event('decision.allowed', { version: 5, time: at(20), data: allow(20, { after: 'evt_eeeeeeeeeeeeeeeeeeee' }) }),
    { want: acted(20, 'ALLOW', 'allowed', 20) },
  )
}

/** As `signEvent`, with any key and header, over any bytes. */
function detached(bytes: Uint8Array, key: SigningKey, more: object): Uint8Array {
  const header = encodeBase64url(JSON.stringify({ alg: 'ES256', kid: key.kid, typ: 'bailiwick-event+jws', ...more }))
  const signature = encodeBase64url(key.sign(Buffer.from(`${header}.${encodeBase64url(bytes)}`)))
  return Buffer.concat([bytes.subarray(0, -1), Buffer.from(`,"jws":"${header}..${signature}"}`)])
}

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
/** The last character with its lowest unused bit set: the same bytes to a lenient decoder. */
const flipped = (signature: string) => alphabet[alphabet.indexOf(signature.at(-1) as string) | 1]

/** Makes the vectors anew, with new keys. */
export function signedVectors(): SignedVectors {
  registry()
  decisions()
  const trust = encodeTrust(
    signTrust(
      {
        v: 1,
        installation,
        root: { jwk: jwkOf(root) },
        log: { vkey: `log+00000000+${'A'.repeat(44)}` },
        rp_id: 'localhost',
        origins: ['http://localhost:8420'],
        single_operator: false,
        invitation: { jwk: jwkOf(generateKey('invitation')) },
        public_url: 'http://localhost:8420',
        created_at: at(-day),
      },
      root,
    ),
  )
  return { trust, vectors }
}
