import { createHash, createHmac, generateKeyPairSync, randomUUID } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { createServer } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { run } from '@bailiwick/cli'
import {
  actionDigest,
  generateKey,
  makeDpopProof,
  readKeyFile,
  signCallerAssertion,
  signClientAssertion,
  signOutcome,
} from '@bailiwick/credentials'
import { paths } from '@bailiwick/installation'
import { sample, sampleKey } from '@bailiwick/standalone/sample'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { decoded, part, privateKey, seconds, sibling, signed } from './forging.ts'
import { type JsonWebKeyEc, spellingsOf } from './key-spellings.ts'
import { eventually, Scene } from './scene.ts'

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
  // About the one outcome that the point's own key signed and that contradicts another.
  expect(report.findings).toMatchObject([
    { rule: 'V10', detail: expect.stringContaining('signed an outcome that was not accepted') },
  ])
})

/** The last nonce that the PDP gave, as it has it in memory. */
let nonce: string | undefined

/** The agent's own proof for a URL, in any spelling. */
function proofFor(htu: string): string {
  const key = sampleKey(scene.system.data, 'reconciler')
  const ath = createHash('sha256').update(credential).digest('base64url')
  const claims = { htm: 'POST', htu, jti: randomUUID(), iat: seconds(), ath, nonce }
  return signed({ alg: 'ES256', typ: 'dpop+jwt', jwk: key.publicJwk }, claims, privateKey(key))
}

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

/** The issuer's answer about a token to an enforcement point (RFC 7662), once it has been up for a second. */
async function introspected(token: string): Promise<unknown> {
  const { enforcementPoint: id } = sample
  const iat = seconds()
  const claims = { iss: id, sub: id, aud: scene.url, iat, exp: iat + 60, jti: randomUUID() }
  const answer = await fetch(`${scene.url}/oauth/introspect`, {
    method: 'POST',
    body: new URLSearchParams({
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: signClientAssertion(claims, sampleKey(scene.system.data, 'point-caller')),
      token,
    }),
  })
  if (answer.status === 503)
    return pause(Number(answer.headers.get('retry-after')) * 1000).then(() => introspected(token))
  return answer.status === 200 ? ((await answer.json()) as { active: unknown }).active : answer.status
}

/** Checks that neither the decision point nor the issuer accepts any of them as a credential. */
async function refusedEverywhere(forged: Record<string, string>): Promise<void> {
  const taken: string[] = []
  for (const [what, token] of Object.entries(forged)) {
    if ((await decide({ credential: token })).startsWith('ALLOW')) taken.push(`${what}: decided`)
    // Too long for its form field, or not ASCII: refused before it is parsed.
    if (![false, 400].includes((await introspected(token)) as never)) taken.push(`${what}: introspected`)
  }
  expect(taken).toEqual([])
}

const attacker = generateKeyPairSync('ec', { namedCurve: 'P-256' })

it('a forged credential is refused, even if its header says how to check it (V11, V12)', async () => {
  expect(await decide()).toBe('ALLOW')
  const [head, body, signature = ''] = credential.split('.')
  const header = decoded(head)
  const claims = decoded(body)
  const jwk = attacker.publicKey.export({ format: 'jwk' })
  const [issuerKey] = ((await (await fetch(`${scene.url}/oauth/jwks`)).json()) as { keys: object[] }).keys
  const hmac = (secret: string | Buffer) => {
    const input = `${part({ ...header, alg: 'HS256' })}.${body}`
    return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`
  }
  const forged: Record<string, string> = {
    'alg none': `${part({ ...header, alg: 'none' })}.${body}.`,
    'alg None, with the signature': `${part({ ...header, alg: 'None' })}.${body}.${signature}`,
    'no signature': `${head}.${body}.`,
    'a zero signature': `${head}.${body}.${Buffer.alloc(64).toString('base64url')}`,
    'no header but alg none': `${part({ alg: 'none' })}.${body}.`,
    ...Object.fromEntries(
      Object.entries(spellingsOf(issuerKey as JsonWebKeyEc)).map(([how, secret]) => [`HMAC with ${how}`, hmac(secret)]),
    ),
    'its own key in the header': signed({ ...header, jwk }, claims, attacker.privateKey),
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
    'bits that decoders ignore': `${head}.${body}.${signature.slice(0, -1)}${sibling(signature.slice(-1))}`,
    'four parts': `${credential}.x`,
  }
  await refusedEverywhere(forged)
  expect(await decide()).toBe('ALLOW')
  expect(await introspected(credential)).toBe(true)
})

it('a header chooses neither algorithm nor key, and nothing that it names is fetched (V12)', async () => {
  const [head, body, signature = ''] = credential.split('.')
  const header = decoded(head)
  const claims = decoded(body)
  let connections = 0
  const thief = createServer((socket) => {
    connections += 1
    socket.destroy()
  })
  await new Promise<void>((resolve) => thief.listen(0, '127.0.0.1', resolve))
  const address = thief.address()
  const place = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`
  const forged: Record<string, string> = {}
  for (const alg of [
    'none',
    'NONE',
    'nOnE',
    '',
    'HS256',
    'EdDSA',
    'Ed25519',
    'ES384',
    'ES512',
    'ES256K',
    'es256',
    'RS256',
    'PS256',
    null,
    ['ES256'],
    { ES256: 1 },
  ]) {
    const swapped = part({ ...header, alg })
    forged[`alg ${JSON.stringify(alg)}`] = `${swapped}.${body}.${signature}`
    forged[`alg ${JSON.stringify(alg)}, signed by the thief`] = signed({ ...header, alg }, claims, attacker.privateKey)
  }
  for (const kid of [
    ...[
      '../../keys/issuer/credential',
      '/dev/null',
      "' OR '1'='1",
      '$(id)',
      '__proto__',
      'constructor',
      '',
      '*',
      `${header.kid} `,
    ],
    ...[`${header.kid}\0`, `${place}/jwks`, null, 0, [header.kid], { $ne: null }],
  ])
    forged[`kid ${JSON.stringify(kid)}`] = signed({ ...header, kid }, claims, attacker.privateKey)
  const jwk = attacker.publicKey.export({ format: 'jwk' })
  const keyless = { alg: 'ES256', typ: header.typ }
  for (const [what, more] of Object.entries({
    jku: { jku: `${place}/jwks` },
    x5u: { x5u: `${place}/cert.pem` },
    'jku with jwk': { jku: `${place}/jwks`, jwk },
    'x5u with x5c': { x5u: `${place}/cert.pem`, x5c: [Buffer.from('x').toString('base64')] },
    'jwk without alg': { jwk: { ...jwk, alg: undefined } },
    'jwk for HMAC': { jwk: { kty: 'oct', k: 'AAAA' } },
    crit: { crit: ['exp'], exp: seconds() + 60 },
    iss: { iss: place },
  })) {
    forged[`${what} beside the kid`] = signed({ ...header, ...more }, claims, attacker.privateKey)
    forged[`${what} for the kid`] = signed({ ...keyless, ...more }, claims, attacker.privateKey)
    forged[`${what}, of an issuer there`] = signed(
      { ...header, ...more },
      { ...claims, iss: place },
      attacker.privateKey,
    )
  }
  try {
    await refusedEverywhere(forged)
    expect(connections).toBe(0)
  } finally {
    thief.close()
  }
})

it('no other key of ours, and no key of another installation, makes a credential (V12)', async () => {
  const [head, body] = credential.split('.')
  const header = decoded(head)
  const claims = decoded(body)
  const { data } = scene.system
  const keysOf = (service: string) => paths(data).keys(service)
  const others = {
    ...Object.fromEntries(
      (['approval', 'issuer', 'policy-decision', 'evidence'] as const).map((each) => [each, scene.stolenKey(each)]),
    ),
    permit: readKeyFile(keysOf('policy-decision'), 'permit', 'permit'),
    'binding token': readKeyFile(keysOf('policy-decision'), 'binding-token', 'binding-token'),
    notification: readKeyFile(keysOf('approval'), 'notification', 'notification'),
    invitation: readKeyFile(keysOf('invitation'), 'invitation', 'invitation'),
    agent: sampleKey(data, 'reconciler'),
    point: sampleKey(data, 'point-caller'),
    'another installation': generateKey('credential'),
  }
  const forged: Record<string, string> = {}
  for (const [whose, key] of Object.entries(others)) {
    forged[`${whose}, under its own key id`] = signed({ ...header, kid: key.kid }, claims, privateKey(key))
    forged[`${whose}, under the right key id`] = signed(header, claims, privateKey(key))
  }
  await refusedEverywhere(forged)
})

it('a thief of the very key still needs every claim exactly as it was recorded (V4, V12)', async () => {
  const [head, body] = credential.split('.')
  const header = decoded(head)
  const claims = decoded(body)
  const key = privateKey(readKeyFile(paths(scene.system.data).keys('issuer'), 'credential', 'credential'))
  expect(await decide({ credential: signed(header, claims, key) })).toBe('ALLOW')
  const wrong = [undefined, null, '', 'x', 0, -1, 1e99, true, [], ['x'], {}]
  const forged: Record<string, string> = {}
  const change = (name: string, value: unknown, changed: object) => {
    forged[`${name}: ${JSON.stringify(value) ?? 'missing'}`] = signed(header, changed, key)
  }
  for (const name of Object.keys(claims))
    for (const value of wrong) if (value !== claims[name]) change(name, value, { ...claims, [name]: value })
  for (const within of ['grant', 'cnf'])
    for (const name of Object.keys(claims[within] as object))
      for (const value of wrong.filter((each) => each !== (claims[within] as Record<string, unknown>)[name]))
        change(`${within}.${name}`, value, { ...claims, [within]: { ...(claims[within] as object), [name]: value } })
  for (const [name, value] of Object.entries({
    nbf: seconds() + 9000,
    act: { sub: claims.sub },
    scope: 'all',
    sub_id: {},
  }))
    change(name, value, { ...claims, [name]: value })
  change('iat', 'of tomorrow', { ...claims, iat: seconds() + 86_400, exp: seconds() + 86_700 })
  change('iat', 'a second before', { ...claims, iat: (claims.iat as number) - 1 })
  change('exp', 'a text', { ...claims, exp: String(claims.exp) })
  change('exp', 'an hour', { ...claims, exp: (claims.iat as number) + 3600 })
  await refusedEverywhere(forged)
}, 120_000)

it('a credential key works only for credentials that were recorded for it, not for those of another key (V4, V12)', async () => {
  const { data, clock, random } = scene.system
  const said: string[] = []
  const say = (line: string) => void said.push(line)
  const io = { out: say, err: say, env: {}, clock, random }
  expect([await run(['keys', 'prepare', 'credential', '--json', '--data', data], io), said]).toMatchObject([0, {}])
  const { kid } = JSON.parse(said.join('\n')) as { kid: string }
  const folder = paths(data).keys('issuer')
  const file = readdirSync(folder).find((name) => /^credential-[0-9a-f]+\.json$/.test(name)) ?? ''
  const prepared = readKeyFile(folder, file.slice(0, -'.json'.length), 'credential')
  expect(prepared.kid).toBe(kid)
  const [head, body] = credential.split('.')
  // Certified for credentials, valid and published: only the recorded intent shows that it is the wrong key.
  const by = { 'by the next key': signed({ ...decoded(head), kid }, decoded(body), privateKey(prepared)) }
  await refusedEverywhere(by)
  expect(await decide({ credential: by['by the next key'] })).toBe('credential_unrecorded')
  expect(await decide()).toBe('ALLOW')
})

it('a bound credential works only with its key, for this call, at this URL and at this moment (V10, V11)', async () => {
  const { url } = scene.invoices
  const cases: [string, Ask][] = [
    ['as a bearer token', { proof: false }],
    ['an empty proof', { proof: '' }],
    ['with the credential as proof', { proof: credential }],
    ['another key', { proofKey: sampleKey(scene.system.data, 'forecaster') }],
    ['another method', { proof: { htm: 'GET' } }],
    ['the method in lower case', { proof: { htm: 'post' } }],
    ['the path in other case', { proof: { htu: `${url}/READ` } }],
    ['a path that goes on', { proof: { htu: `${url}/read/` } }],
    ['another scheme', { proof: { htu: `${url.replace('http:', 'https:')}/read` } }],
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
  // Other spellings of the very same URL (RFC 3986 §6.2.2).
  const { port } = new URL(url)
  for (const htu of [`HTTP://LOCALHOST:${port}/read`, `${url}/./read`, `${url}/%72ead`, `${url}/read?x#y`])
    expect([htu, await decide({}, () => evaluation({ proof: proofFor(htu) }))]).toEqual([htu, 'ALLOW'])
  for (const htu of [
    `${url}%2Fread`,
    `${url}/x/..%2fread`,
    `${url}\\read`,
    `${url}/read\0`,
    ` ${url}/read`,
    '/read',
    '',
  ])
    expect([htu, await decide({}, () => evaluation({ proof: proofFor(htu) }))]).toEqual([htu, 'proof_invalid'])
  // The same proof twice.
  const once = evaluation()
  expect(await decide({}, () => once)).toBe('ALLOW')
  expect(
    await decide({}, () => ({
      ...once,
      context: { bailiwick: { ...once.context.bailiwick, call_id: 'call_0000000000000001' } },
    })),
  ).toBe('proof_replayed')
  // Both at once, to race the memory.
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

it('only a registered enforcement point is accepted, with its own key, for this decision point (V12)', async () => {
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
    'of an unregistered point': callerAssertion({ iss: 'nobody', sub: 'nobody' }),
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

it('an outcome counts once, from the point that acted, for the action that was decided (V9, V10)', async () => {
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
    action_digest: scene.ledger.decisions.trees.get(grantId)?.allows.get(decisionId)?.actionHash ?? '',
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
  expect(await say(signOutcome({ ...outcome, sequence: 2, status: 'succeeded' }, key))).toBe(409)
  expect(taken()).toBe((before ?? 0n) - 1n)
  // It is recorded after the answer.
  await eventually('the log has it', async () =>
    (await scene.events('decisions.v1')).find(({ type }) => type === 'outcome.refused'),
  )
})
