import { randomBytes } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { run } from '@bailiwick/cli'
import { topics } from '@bailiwick/contracts'
import {
  actionText,
  encodeBase64url,
  type SaltedText,
  saltedHash,
  signAccessRequest,
  type Trust,
} from '@bailiwick/credentials'
import { errorCode } from '@bailiwick/errors'
import { logger } from '@bailiwick/host'
import { systemClock, systemRandom } from '@bailiwick/kit'
import { sample, sampleAgentId, sampleAuthority, sampleKey } from '@bailiwick/standalone/sample'
import { expect, it, onTestFinished } from 'vitest'
import { holding, operatorAt } from './operator.ts'
import { answered, eventId, eventually, projectAdapters, Scene, type Stood, unlikely } from './scene.ts'

const attachments = 'attachments.policy-decision.v1'
/** The argument of a call, for example a customer's data: no authority names it, and no list contains it. */
const invoice = (n: number) => `INV-98877${n}`
const canary = 'INV-98877'
const saltOf = () => encodeBase64url(randomBytes(16))

interface Allowed {
  decision_id: string
  call_id: string
  call_kept?: boolean
  action: { name: string; resource: { type: string; id: string }; call: { salted_sha256: string } }
}
const allowedOf = (event: Stood | undefined) => {
  if (event === undefined) throw new Error('there is no such ALLOW')
  return event.data as unknown as Allowed
}

/**
 * Options for a system that keeps calls, with everything it writes besides topics and data: its log at the most verbose
 * level, and the SIEM file.
 */
async function keepingCalls() {
  const folder = mkdtempSync(join(tmpdir(), 'kept-calls-'))
  const adapters = await projectAdapters()
  onTestFinished(async () => {
    await adapters[Symbol.asyncDispose]()
    rmSync(folder, { recursive: true })
  })
  const lines: string[] = []
  const siem = join(folder, 'evidence.jsonl')
  const options = {
    ...(adapters.adapters && { adapters: adapters.adapters }),
    data: join(folder, 'data'),
    env: { BAILIWICK_KEEP_CALLS: '1', BAILIWICK_SINK_FILE: siem },
    logger: logger({ service: 'abuse', level: 'trace', destination: { write: (line) => void lines.push(line) } }),
  }
  return { options, lines, siem, folder }
}

it('only the operator sees a kept call, for its one decision, and never a contradicted, borrowed or erased one (V3, V14, V17)', async () => {
  const { options, lines, siem, folder } = await keepingCalls()
  const opened = await Scene.open(options)
  await using scene = opened
  const { data, url } = scene.system
  const cli = operatorAt(data)
  const agent = scene.agent()
  const { grantId } = await scene.granted(agent)
  /** Makes a call with a sensitive argument. Returns its ALLOW. */
  const called = async (n: number) => {
    const isAllowed = async () => {
      const response = await scene.call(agent, grantId, 'read', { invoice: invoice(n) }).catch(() => undefined)
      return response?.status === 404 // from the API behind its enforcement point
    }
    await eventually('the call is allowed', isAllowed)
    return (await scene.events('decisions.v1')).findLast(({ type }) => type === 'decision.allowed')
  }
  const allowed = [await called(0), await called(1)]
  const [one, two] = allowed.map(allowedOf) as [Allowed, Allowed]
  expect([one.call_kept, two.call_kept]).toEqual([true, true])
  await scene.invoices.delivered()
  /** The bundle of a decision with its call, or the code of the refusal. */
  const provedCall = async (id: string, name = 'call') => {
    const { code, out } = await cli('prove', id, '--reveal', name)
    return code === 0 ? bundleIn(out) : /\((\w+)\)$/.exec(out)?.[1]
  }
  /** Waits until evidence has the call. */
  const revealed = (id: string) =>
    eventually('evidence has the call', async () => {
      const said = await provedCall(id)
      return said?.startsWith('{') ? said : undefined
    })

  // A call belongs to one decision: no bundle shows another decision's call with it.
  const bundle = await revealed(one.decision_id)
  await revealed(two.decision_id)
  expect(bundle).toContain(invoice(0))
  expect(bundle).not.toContain(invoice(1))
  const bundleFile = join(folder, 'bundle.json')
  writeFileSync(bundleFile, bundle)
  const verified = () => judged(bundleFile, scene.system.trust)
  expect(await verified()).toContain(invoice(0))
  for (const name of [two.action.call.salted_sha256, two.decision_id])
    expect(await provedCall(one.decision_id, name)).toBe('request_malformed')

  // The argument appears nowhere else: one topic, two files, no log line, no metric, and no answer to a stranger.
  const { events } = await scene.system.host.operator
    .inject({ method: 'GET', url: '/v1/events?limit=500' })
    .then((answer) => ({ events: answer.body }))
  const metrics = await (await fetch(`${url}/metrics`)).text()
  await eventually('the SIEM has it', () => existsSync(siem) && readFileSync(siem, 'utf8').includes(two.decision_id))
  for (const said of [lines.join(''), readFileSync(siem, 'utf8'), events, metrics]) {
    expect(said.length).toBeGreaterThan(100)
    expect(said).not.toContain(canary)
  }
  expect(await topicsHolding(scene, canary)).toEqual([attachments])
  for (const file of holding(data, canary)) expect(file).toMatch(/\/bus\/erasable\/|\/evidence\/values\//)
  for (const path of [`/v1/values/${one.decision_id}`, `/v1/bundle/${one.decision_id}?reveal=call`])
    expect(await (await fetch(`${url}${path}`)).text()).not.toContain(canary)
  const order = { reason: 'other', values: [{ attachment_id: `att_${one.action.call.salted_sha256}`, about: 'x' }] }
  const asked = { method: 'POST', body: JSON.stringify(order), headers: { 'content-type': 'application/json' } }
  expect((await fetch(`${url}/operator/calls/erase`, asked)).status).toBe(404)

  // The hash is public. A request under that hash must not give the agent a way to see, prove or erase the words of
  // another.
  for (const salted_sha256 of [one.action.call.salted_sha256, two.action.call.salted_sha256]) {
    const iat = Math.floor(scene.system.clock.now() / 1000)
    const jws = signAccessRequest(
      {
        ...{
          aud: scene.system.trust.installation,
          sub: scene.agent('forecaster').id,
          iat,
          exp: iat + 600,
          jti: eventId(),
        },
        ...{ authority: sampleAuthority, mode: 'window', expires_in_seconds: 600, purpose: { salted_sha256 } },
      },
      sampleKey(data, 'forecaster'),
    )
    const refused = answered(() => scene.agent('forecaster').request({ jws })).then(() => 'taken', errorCode)
    expect(await refused).toBe('request_malformed')
  }

  // A stolen decision point: the ALLOW that it claims, and the text that it hands over as the call.
  const lie = async (handed: SaltedText) => {
    const { trees } = scene.ledger.decisions
    const head = trees.get(grantId)
    const decision_id = `dec_${eventId().slice(4, 30)}`
    const genuine = allowed[1] as Stood
    const data = {
      ...two,
      decision_id,
      call_id: `call_${eventId().slice(4, 30)}`,
      proof_id: randomBytes(32).toString('base64url'),
      action: { ...two.action, call: { salted_sha256: saltedHash(handed) } },
      after: head?.head,
    }
    await scene.forge(
      'decisions.v1',
      { type: genuine.type, subject: decision_id, key: grantId, version: (head?.version ?? 0) + 1, data },
      scene.stolenKey('policy-decision'),
    )
    await hand(handed)
    return decision_id
  }
  const hand = async (handed: SaltedText) => {
    const hash = saltedHash(handed) ?? ''
    const subject = `att_${hash}`
    const data = { attachment_id: subject, about: 'x', ...handed, salted_sha256: hash }
    await scene.forge(attachments, { type: 'attachment.stored', subject, data }, scene.stolenKey('policy-decision'))
    return hash
  }
  /** Resolves once evidence has read everything that was handed over before: the topic has one partition. */
  const handedOver = async (name: string) => {
    const hash = await hand({ salt: saltOf(), text: name })
    await eventually('evidence read on', () => existsSync(join(data, 'evidence/values', attachments, hash)))
  }
  const { name, resource } = two.action
  const honest = { name, resource, properties: { invoice: invoice(2) } }
  const canonical = actionText(honest)
  const contradictions = [
    actionText({ ...honest, name: 'tools/list' }),
    actionText({ ...honest, resource: { ...resource, id: `${sample.toolServer}/adjust` } }),
    canonical.replace('{', `{"a":"${invoice(2)} was asked for by ${sampleAgentId('forecaster')}",`),
    canonical.replace('"action":{', '"action":{ '),
    `${invoice(2)} is no call`,
  ]
  const lies: [id: string, handed: SaltedText][] = []
  for (const each of contradictions) {
    const handed = { salt: saltOf(), text: each }
    lies.push([await lie(handed), handed])
  }
  await handedOver('after the lies')
  const last = lies.at(-1)?.[0] ?? ''
  await eventually('the log has them', async () => (await cli('prove', last)).code === 0)
  const verdicts = lies.map(async ([id, handed], n) => {
    for (const reveal of n === 0 ? ['call', 'all', saltedHash(handed) ?? ''] : ['all'])
      expect(await provedCall(id, reveal)).toBe('value_contradicted')
    expect((await cli('trace', id)).out).toContain('NOT SHOWN: it is another call than the event says')
    // Even an operator who adds the call to the bundle convinces no verifier.
    const withheld = JSON.parse(bundleIn((await cli('prove', id)).out)) as object
    const file = join(folder, `lie-${n}.json`)
    writeFileSync(file, JSON.stringify({ ...withheld, values: [handed] }))
    return judged(file, scene.system.trust)
  })
  for (const verdict of await Promise.all(verdicts))
    expect(verdict).toMatch(/^{"ok":false,"reason":"value_contradicted","index":\d+}$/)

  // An erased call stays erased when its text is sent again, through either door, across a restart, and when evidence
  // rebuilds its index from the log.
  const erased = async () => {
    const { code, out } = await cli('erase', one.decision_id, '--reason', 'secret', '--yes')
    return code === 0 || out.includes('everything there is erased already')
  }
  const shown = JSON.parse(bundle) as { values: [SaltedText] }
  await eventually('it is erased', erased)
  expect(holding(data, invoice(0))).toEqual([])
  const [salt, call] = [shown.values[0].salt, shown.values[0].text]
  expect(saltedHash({ salt, text: call })).toBe(one.action.call.salted_sha256)
  expect((await scene.operate('values', { about: one.decision_id, salt, text: call })).status).toBe(200)
  await hand({ salt, text: call })
  await handedOver('after what was erased')
  const isGone = async () => {
    expect(await provedCall(one.decision_id)).toBe('value_gone')
    const traced = await cli('trace', one.decision_id)
    expect(traced).toMatchObject({ code: 0, out: expect.not.stringContaining(canary) })
    expect(traced.out).toMatch(/: erased \S+ by operator \(secret\)/)
    expect(kept()).toEqual([])
    writeFileSync(bundleFile, bundle)
    for (const argv of [['verify'], ['prove', one.decision_id]])
      expect([argv, (await cli(...argv)).code]).toEqual([argv, 0])
    expect(await verified()).toMatch(/^{"ok":true,/)
    expect(await revealed(two.decision_id)).toContain(invoice(1))
  }
  // The operator's own copy lies with the operator's words, and proves nothing.
  const kept = () =>
    holding(join(data, 'evidence'), invoice(0)).filter((file) => !file.includes('/attachments.approval.v1/'))
  await isGone()
  expect(unlikely((await scene.audited()).findings)).toEqual([])
  await opened[Symbol.asyncDispose]()
  rmSync(join(data, 'evidence/index'), { recursive: true })
  await using again = await Scene.reopen({ ...options })
  expect(again.ledger).toBeDefined()
  await isGone()
  expect(lines.join('')).not.toContain(canary)
}, 300_000)

/** The answer of `bailiwick verify BUNDLE --json` to an outsider, who has only the keys of log and root. */
async function judged(file: string, { log, root }: Trust): Promise<string> {
  const said: string[] = []
  const io = { out: (line: string) => void said.push(line), err: () => undefined, env: {} }
  const nowhere = ['--data', '/nonexistent', '--vkey', log.vkey, `--root=${root.jwk.x}`]
  await run(['verify', file, ...nowhere, '--json'], { ...io, clock: systemClock, random: systemRandom })
  return said.join('\n')
}

/** The JSON in the output of `prove`. */
const bundleIn = (out: string) => out.slice(out.indexOf('{'))

/** The topics that have a message with these words. */
async function topicsHolding(scene: Scene, words: string): Promise<string[]> {
  const read = topics.map(async ({ name }) => ({ name, messages: await scene.read(name) }))
  return (await Promise.all(read)).flatMap(({ name, messages }) =>
    messages.some(({ text }) => text.includes(words)) ? [name] : [],
  )
}
