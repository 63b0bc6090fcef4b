import { createHmac, createPrivateKey, generateKeyPairSync, type KeyObject, randomUUID, sign } from 'node:crypto'
import { actionDigest, exportPrivateKey, makeDpopProof, signCallerAssertion, signOutcome } from '@bailiwick/credentials'
import { sample, sampleKey } from '@bailiwick/standalone/sample'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Scene } from './scene.ts'

let scene: Scene
let grantId = ''
let credential = ''
beforeAll(async () => {
  scene = await Scene.open()
  grantId = (await scene.granted()).grantId
  credential = (await scene.agent().credential({ grantId })).token
})
afterAll(async () => {
  const report = await scene.audited()
  await scene[Symbol.asyncDispose]()
  expect(report.findings).toEqual([])
})

const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
const seconds = () => Math.floor(Date.now() / 1000)
const decoded = (text = '') => JSON.parse(Buffer.from(text, 'base64url').toString()) as Record<string, unknown>
/** As the PDP has it in its memory: the last nonce that it gave. */
let nonce: string | undefined

const es256 = (input: string, key: KeyObject) =>
  sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')
const signed = (header: object, claims: object, key: KeyObject) => {
  const input = `${part(header)}.${part(claims)}`
  return `${input}.${es256(input, key)}`
}
const privateKey = (key: Parameters<typeof exportPrivateKey>[0]) =>
  createPrivateKey({ key: exportPrivateKey(key) as never, format: 'jwk' })

interface Ask {
  credential?: string
  properties?: Record<string, unknown>
  proof?: Partial<Parameters<typeof makeDpopProof>[0]> | string | false
  proofKey?: Parameters<typeof makeDpopProof>[1]
  observed?: Record<string, unknown>
  caller?: string
}

function callerAssertion(changes: object = {}) {
  const iat = seconds()
  const { enforcementPoint: id } = sample
  const key = sampleKey(scene.system.data, 'point-caller')
  const claims = { iss: id, sub: id, aud: scene.url, iat, exp: iat + 60, jti: randomUUID() }
  const right = signCallerAssertion(claims, key)
  return signed(decoded(right.split('.')[0]), { ...claims, ...changes }, privateKey(key))
}

function evaluation(ask: Ask = {}) {
  const token = ask.credential ?? credential
  const action = { name: 'tools/call', properties: ask.properties ?? { invoice: 'INV-1' } }
  const resource = { type: 'tool', id: `${sample.toolServer}/read` }
  const digest = actionDigest({ ...action, resource })
  const htu = `${scene.invoices.url}/read`
  const claims = {
    htm: 'POST',
    htu,
    jti: randomUUID(),
    now: Date.now(),
    accessToken: token,
    actionDigest: digest,
    nonce,
  }
  const proof =
    typeof ask.proof === 'object'
      ? makeDpopProof({ ...claims, ...ask.proof }, ask.proofKey ?? sampleKey(scene.system.data, 'reconciler'))
      : (ask.proof ?? makeDpopProof(claims, ask.proofKey ?? sampleKey(scene.system.data, 'reconciler')))
  const observed = { credential: token, ...(proof === false ? {} : { proof }), htm: 'POST', htu, action_digest: digest }
  return {
    subject: { type: 'agent', id: scene.agent().id },
    action,
    resource,
    context: { bailiwick: { ...observed, ...ask.observed } },
  }
}

async function post(path: string, body: unknown, caller: string) {
  const response = await fetch(`${scene.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${caller}` },
    body: JSON.stringify(body),
  })
  const text = await response.text()
  return { status: response.status, body: (text === '' ? {} : JSON.parse(text)) as Decided }
}
interface Decided {
  decision?: boolean
  code?: string
  context?: { decision_id: string; permit?: string; dpop_nonce?: string; reason?: string }
}

/** `ALLOW`, the reason of a DENY, or the code of a refusal. */
async function decide(ask: Ask = {}, body: () => object = () => evaluation(ask)): Promise<string> {
  for (let tries = 0; ; tries++) {
    const { body: answer } = await post('/access/v1/evaluation', body(), ask.caller ?? callerAssertion())
    if (answer.decision === true) return answer.context?.permit ? 'ALLOW' : 'ALLOW without permit'
    const reason = answer.context?.reason ?? answer.code ?? 'nothing'
    nonce = answer.context?.dpop_nonce ?? nonce
    if (!['proof_nonce_required', 'deadline_exceeded', 'state_stale'].includes(reason) || tries > 8) return reason
  }
}

/** The same six bits but for the last one, which a signature of 64 bytes has no use for. */
const sibling = (letter: string) => {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  return alphabet[alphabet.indexOf(letter) ^ 1]
}

const attacker = generateKeyPairSync('ec', { namedCurve: 'P-256' })

it('a forged credential is refused, whatever its header says about how to check it (V11, V12)', async () => {
  expect(await decide()).toBe('ALLOW')
  const [head, body, signature = ''] = credential.split('.')
  const header = decoded(head)
  const claims = decoded(body)
  const jwk = attacker.publicKey.export({ format: 'jwk' })
  const [issuerKey] = ((await (await fetch(`${scene.url}/oauth/jwks`)).json()) as { keys: object[] }).keys
  const hmac = (secret: string) => {
    const input = `${part({ ...header, alg: 'HS256' })}.${body}`
    return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`
  }
  const forged: Record<string, string> = {
    'alg none': `${part({ ...header, alg: 'none' })}.${body}.`,
    'alg None, with the signature': `${part({ ...header, alg: 'None' })}.${body}.${signature}`,
    'no signature': `${head}.${body}.`,
    'a zero signature': `${head}.${body}.${Buffer.alloc(64).toString('base64url')}`,
    'HMAC with the public key': hmac(JSON.stringify(issuerKey)),
    'HMAC with the kid': hmac(String(header.kid)),
    'its own key inside': signed({ ...header, jwk }, claims, attacker.privateKey),
    'its own key at an address': signed({ ...header, jku: 'http://thief.example/jwks' }, claims, attacker.privateKey),
    'a certificate': signed({ ...header, x5c: ['AAAA'], x5u: 'http://thief.example' }, claims, attacker.privateKey),
    'a path for a key': signed({ ...header, kid: '../../keys/issuer' }, claims, attacker.privateKey),
    'a list for a key': signed({ ...header, kid: [header.kid] }, claims, attacker.privateKey),
    'a prototype for a key': signed({ ...header, kid: '__proto__' }, claims, attacker.privateKey),
    'a critical extension': signed({ ...header, crit: ['b64'], b64: false }, claims, attacker.privateKey),
    'the event key of the issuer': signed(
      { ...header, kid: scene.stolenKey('issuer').kid },
      claims,
      privateKey(scene.stolenKey('issuer')),
    ),
    "the agent's own key": signed(
      { ...header, kid: sampleKey(scene.system.data, 'reconciler').kid },
      claims,
      privateKey(sampleKey(scene.system.data, 'reconciler')),
    ),
    'other claims under the signature': `${head}.${part({ ...claims, exp: seconds() + 9000 })}.${signature}`,
    'another spelling of the signature': `${head}.${body}.${signature}=`,
    'white space': `${head}.${body}.${signature.slice(0, 40)}\n${signature.slice(40)}`,
    'bits that no reader needs': `${head}.${body}.${signature.slice(0, -1)}${sibling(signature.slice(-1))}`,
    'four parts': `${credential}.x`,
  }
  for (const [what, token] of Object.entries(forged))
    expect([what, await decide({ credential: token })]).not.toEqual([what, 'ALLOW'])
  expect(await decide()).toBe('ALLOW')
})

it('a bound credential is worth nothing without its key, this call, this place and this moment (V10, V11)', async () => {
  const { url } = scene.invoices
  const cases: [string, Ask][] = [
    ['as a bearer token', { proof: false }],
    ['an empty proof', { proof: '' }],
    ['with the credential as proof', { proof: credential }],
    ['another key', { proofKey: sampleKey(scene.system.data, 'forecaster') }],
    ['another method', { proof: { htm: 'GET' } }],
    ['another path', { proof: { htu: `${url}/delete` } }],
    ['another port', { proof: { htu: 'http://localhost:1/read' } }],
    ['another host', { proof: { htu: 'http://thief.example/read' } }],
    ['a host that only begins alike', { proof: { htu: url.replace('localhost', 'localhost.thief.example') } }],
    [
      'another place, agreed by the point',
      { proof: { htu: 'http://thief.example/read' }, observed: { htu: 'http://thief.example/read' } },
    ],
    ['user info in the place', { observed: { htu: `http://x@${new URL(url).host}/read` } }],
    ['no credential hash', { proof: { accessToken: undefined } }],
    ['the hash of another credential', { proof: { accessToken: `${credential}x` } }],
    ['too old', { proof: { now: Date.now() - 120_000 } }],
    ['from the future', { proof: { now: Date.now() + 60_000 } }],
    [
      'another action',
      { proof: { actionDigest: actionDigest({ name: 'x', properties: {}, resource: { type: 'a', id: 'b' } }) } },
    ],
    ['a digest that is not the action', { observed: { action_digest: 'A'.repeat(43) } }],
  ]
  const passed: string[] = []
  for (const [what, ask] of cases) if ((await decide(ask)) === 'ALLOW') passed.push(what)
  expect(passed).toEqual([])
  // The same proof twice.
  const once = evaluation()
  expect(await decide({}, () => once)).toBe('ALLOW')
  expect(
    await decide({}, () => ({
      ...once,
      context: { bailiwick: { ...once.context.bailiwick, call_id: 'call_0000000000000001' } },
    })),
  ).toBe('proof_replayed')
  // Together, to race the memory.
  const raced = evaluation()
  const answers = await Promise.all(
    Array.from({ length: 10 }, (_, n) =>
      decide({}, () => ({
        ...raced,
        context: { bailiwick: { ...raced.context.bailiwick, call_id: `call_000000000000010${n}` } },
      })),
    ),
  )
  expect(answers.filter((answer) => answer === 'ALLOW')).toHaveLength(1)
})

it('only a registered enforcement point is heard, by its own key, for this decision point (V12)', async () => {
  const outcomeKey = privateKey(sampleKey(scene.system.data, 'point-outcome'))
  const good = callerAssertion()
  const [head, body] = good.split('.')
  const claims = decoded(body)
  const stranger = signed(
    { ...decoded(head), jwk: attacker.publicKey.export({ format: 'jwk' }) },
    claims,
    attacker.privateKey,
  )
  const cases: Record<string, string> = {
    'of a point that nobody registered': callerAssertion({ iss: 'nobody', sub: 'nobody' }),
    'of one point about another': callerAssertion({ sub: 'nobody' }),
    'for another decision point': callerAssertion({ aud: 'http://localhost:1' }),
    expired: callerAssertion({ iat: seconds() - 120, exp: seconds() - 61 }),
    'of tomorrow': callerAssertion({ iat: seconds() + 86_400, exp: seconds() + 86_460 }),
    unsigned: `${part({ ...decoded(head), alg: 'none' })}.${body}.`,
    'with a key of its own': stranger,
    'with the outcome key': signed(decoded(head), claims, outcomeKey),
    'a credential': credential,
    nothing: '',
  }
  for (const [what, caller] of Object.entries(cases))
    expect([what, await decide({ caller })]).toEqual([what, 'caller_unauthenticated'])
  expect(await decide({ caller: good })).toBe('ALLOW')
})

it('an outcome counts once, from the point that acted, about what was decided (V9, V10)', async () => {
  const body = evaluation()
  const { body: answer } = await post(
    '/access/v1/evaluation',
    { ...body, context: { bailiwick: { ...body.context.bailiwick, call_id: 'call_0000000000000777' } } },
    callerAssertion(),
  )
  const decisionId = answer.context?.decision_id ?? ''
  expect(answer.decision).toBe(true)
  const key = sampleKey(scene.system.data, 'point-outcome')
  const outcome = {
    installation: scene.system.host.trust.installation,
    enforcement_point: sample.enforcementPoint,
    sequence: 1,
    call_id: 'call_0000000000000777',
    decision_id: decisionId,
    action_digest: body.context.bailiwick.action_digest as string,
    status: 'not_executed' as const,
    at: new Date().toISOString(),
  }
  const genuine = signOutcome(outcome, key)
  const header = decoded(genuine.split('.')[0])
  const say = async (text: string) => (await post('/v1/outcomes', { outcome: text }, callerAssertion())).status
  const taken = () => scene.ledger.decisions.trees.get(grantId)?.taken.calls
  const before = taken()
  const forged = [
    signed(header, outcome, attacker.privateKey),
    signed(
      { ...header, kid: sampleKey(scene.system.data, 'point-caller').kid },
      outcome,
      privateKey(sampleKey(scene.system.data, 'point-caller')),
    ),
    `${part({ ...header, alg: 'none' })}.${part(outcome)}.`,
    signOutcome({ ...outcome, decision_id: 'dec_01M87GBGBGE3RS2T5YNVYK3SAM' }, key),
    signOutcome({ ...outcome, enforcement_point: 'another' }, key),
    signOutcome({ ...outcome, action_digest: 'A'.repeat(43) }, key),
    signOutcome({ ...outcome, call_id: 'call_0000000000000778' }, key),
    signOutcome({ ...outcome, installation: 'ins_0123456789' }, key),
  ]
  for (const text of forged) expect(await say(text)).toBeGreaterThanOrEqual(400)
  expect(taken()).toBe(before)
  expect(await Promise.all([say(genuine), say(genuine), say(genuine)])).toEqual([204, 204, 204])
  expect(await say(signOutcome({ ...outcome, sequence: 2, status: 'succeeded' }, key))).toBeLessThan(500)
  expect(taken()).toBe((before ?? 0n) - 1n)
})
