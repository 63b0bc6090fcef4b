import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { makeDpopProof } from '@bailiwick/credentials'
import { errorCode } from '@bailiwick/errors'
import { paths } from '@bailiwick/installation'
import { fileOutcomeStore } from '@bailiwick/pep'
import { sample, sampleAuthority, sampleKey } from '@bailiwick/standalone/sample'
import { sampleAgent } from '@bailiwick/standalone/sample-agent'
import { enrolApprover, type RunningSystem } from '@bailiwick/testkit'
import { startInvoicesApi } from './invoices-api.ts'
import { verify, withFlippedByte } from './log-files.ts'
import { must } from './must.ts'
import { patientCall, patiently, repeating } from './patiently.ts'
import { traced } from './traced.ts'

export interface Step {
  step: number
  ok: boolean
  ms: number
  detail: string
}

export type Say = (title: string, run: () => Promise<string>) => Promise<void>
type Agent = ReturnType<typeof sampleAgent>

const pauseMs = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/**
 * The story of DESIGN §2, step by step, against a running system; each step reports what it saw. No call that begins
 * `withinMs` after a withdrawal was acknowledged is allowed: 1 s, and 2 s where a decision point may be cut off (V7).
 */
export async function tell(system: RunningSystem, step: Say, { withinMs = 1000 } = {}): Promise<void> {
  const { data, url } = system
  const agent = sampleAgent(system, 'reconciler')
  const stranger = sampleAgent(system, 'forecaster')
  const approver = await patiently(() => enrolApprover(system))
  const invoices = await openInvoices(system)
  await using _ = invoices.api
  let requestId = ''
  let grantId = ''
  let actionId = ''

  /** Once, for any answer. */
  const callOnce = (who: Agent, tool: string, properties: object, grant?: string, callId?: string) =>
    who.fetch(
      `${system.invoicesUrl}/${tool}`,
      { method: 'POST' },
      {
        ...(grant === undefined ? {} : { grant: { grantId: grant } }),
        ...(callId === undefined ? {} : { callId }),
        action: 'tools/call',
        resource: { type: 'tool', id: `${sample.toolServer}/${tool}` },
        properties: { ...properties },
      },
    )

  const call = (...args: Parameters<typeof callOnce>) => patientCall(() => callOnce(...args))

  await step('The agent calls a tool without a grant', async () => {
    const refused = await call(agent, 'read', { invoice: 'INV-1' })
    const problem = await problemOf(refused)
    must(refused.status === 401 || refused.status === 403, `it answered ${refused.status}`)
    must(problem.code === 'credential_missing', `the reason was ${problem.code}`)
    must(problem.access_request?.endpoint === `${url}/access/v1/requests`, 'it did not say where to ask')
    return `denied: ${problem.code}; it can be requested at ${problem.access_request.endpoint}`
  })

  await step('It publishes a signed request on access-requests.v1', async () => {
    const signed = agent.signRequest({
      authority: sampleAuthority,
      mode: 'window',
      expiresInSeconds: 3600,
      purpose: 'Reconcile the invoices of the third quarter and post small corrections.',
    })
    await patiently(() => system.bus.publish('access-requests.v1', [agent.accessRequestEvent(signed)]))
    const asked = () => patiently(async () => (await approver.state()).requests.find((r) => r.agent === agent.id))
    const pending = await repeating((found) => found === undefined, asked)
    must(pending !== undefined, 'the console never showed it')
    requestId = pending.id
    return `${requestId}: read; adjust up to 500 EUR, 10 times; 200 calls and 2000.00 EUR in all; for an hour`
  })

  await step('The approver narrows the budget and approves with a passkey', async () => {
    const authority = { ...sampleAuthority, budget: { ...sampleAuthority.budget, cost: { EUR: '1000.00' } } }
    const answer = await patiently(async () => {
      // An approval whose answer was lost still counts: the agent learns of it.
      const { status, grantId } = await agent.status(requestId)
      if (grantId !== undefined) return { status, grant_id: grantId }
      return approver.approve(requestId, { authority })
    })
    must(answer.status === 'approved' && answer.grant_id !== undefined, `the answer was ${answer.status}`)
    grantId = answer.grant_id
    return `${grantId}; 2000.00 → 1000.00 EUR; the assertion was verified by approval and by the issuer`
  })

  await step('It obtains a credential bound to its key and makes 20 calls', async () => {
    const credential = await patiently(() => agent.credential({ grantId }, { wait: AbortSignal.timeout(60_000) }))
    for (let n = 1; n <= 20; n++) {
      const response = await call(agent, 'read', { invoice: `INV-${n}` }, grantId)
      must(response.status === 200, `call ${n} answered ${response.status}: ${await response.text()}`)
      actionId = response.headers.get('bailiwick-decision-id') ?? actionId
    }
    await invoices.api.delivered()
    must(invoices.api.ledger.effects.read === 20, `${invoices.api.ledger.effects.read} effects`)
    const left = Math.round((credential.expiresAt - system.clock.now()) / 1000)
    return `${credentialIdOf(credential.token)}: 20 of 20 allowed, 20 effects, 20 signed outcomes; the decision point had itself verified the approver's passkey before the first; the credential lives another ${left} s`
  })

  await step('Valid-token denials, each with its own reason and no effect', async () => {
    const before = { ...invoices.api.ledger.effects }
    const denied = async (what: string, expected: string, response: Response) => {
      const { code } = await problemOf(response)
      must(response.status !== 200 && code === expected, `${what}: ${response.status} ${code}, not ${expected}`)
      return `${what}: ${code}`
    }
    const adjust = (amount: string) => ({ invoice: 'INV-1', amount, currency: 'EUR' })
    const said = [
      await denied('over the limit', 'argument_out_of_bounds', await call(agent, 'adjust', adjust('500.01'), grantId)),
      await denied('not approved', 'action_not_granted', await call(agent, 'delete', { invoice: 'INV-1' }, grantId)),
      await denied(
        'another key',
        'proof_key_mismatch',
        await patientCall(() => callWithForeignKey(system, agent, grantId)),
      ),
      await refusedToStranger(stranger, grantId),
    ]
    must(JSON.stringify(invoices.api.ledger.effects) === JSON.stringify(before), 'a denial had an effect')
    const race = () => callOnce(agent, 'adjust', adjust('10'), grantId)
    const racers = await Promise.all(Array.from({ length: 20 }, race))
    const adjusted = () => invoices.api.ledger.effects.adjust
    // A busy machine may deny one because no decision was made in time: its use is returned, and goes to the next call.
    await repeating(
      () => adjusted() < 10,
      async () => adjusted() < 10 && racers.push(await race()),
    )
    const refused = racers.filter(({ status }) => status !== 200)
    const codes = await Promise.all(refused.map(async (response) => (await problemOf(response)).code ?? 'no code'))
    const lost = [...Map.groupBy(codes, (code) => code)].map(([code, all]) => `${all.length} × ${code}`)
    must(adjusted() === 10, `${adjusted()} of ${racers.length} racers had an effect: ${lost.join(', ')}`)
    must(racers.length - refused.length === 10, `the losers got ${lost.join(', ')}`)
    said.push(`${racers.length} race for 10 adjustments: 10 effects, ${lost.join(', ')}`)
    // Until the last of the ten has its outcome on the log, its use may still come back, and `uses_reserved` says so.
    said.push(await denied('one more', 'uses_exhausted', await patientCall(race)))
    said.push(
      await denied(
        'changed after the permit',
        'permit_action_mismatch',
        await invoices.tampering(() => call(agent, 'read', { invoice: 'INV-5' }, grantId)),
      ),
    )
    must(invoices.api.ledger.effects.adjust === 10 && invoices.api.ledger.effects.read === 20, 'a denial had an effect')
    return said.join('; ')
  })

  await step('The approver withdraws while calls are running', async () => {
    let lastAllow = 0
    let running = true
    const runners = Array.from({ length: 4 }, async () => {
      while (running) {
        const began = performance.now()
        const response = await callOnce(agent, 'read', { invoice: 'INV-2' }, grantId).catch(() => undefined)
        // Not when its answer arrived: on a busy machine the answer may wait for its turn long after the decision.
        if (response?.status === 200) lastAllow = Math.max(lastAllow, began)
        await response?.arrayBuffer()
      }
    })
    await repeating(
      () => lastAllow === 0,
      () => pauseMs(50),
    )
    const answer = await patiently(() => approver.withdraw(requestId, 'The task is no longer needed.'))
    const acknowledged = performance.now()
    await pauseMs(700)
    running = false
    await Promise.all(runners)
    must(lastAllow > 0, 'no call was allowed before the withdrawal')
    const after = lastAllow - acknowledged
    const refused = await call(agent, 'read', { invoice: 'INV-3' }, grantId)
    const { code } = await problemOf(refused)
    must(refused.status !== 200 && code === 'grant_revoked', `afterwards: ${refused.status} ${code}`)
    must(after <= withinMs, `a call that began ${Math.round(after)} ms after the acknowledgement was allowed`)
    return `revocation ${answer.revoked_sequence} acknowledged; the last allowed call began ${Math.abs(after).toFixed(1)} ms ${after > 0 ? 'after' : 'before'} it; then ${code}`
  })

  await step('bailiwick verify checks the log from its files and public keys alone', async () => {
    await invoices.api.delivered()
    await pauseMs(1200) // every event of the story is under a checkpoint
    const { log, logVkey } = paths(data)
    const clean = await verify(log, logVkey)
    must(clean.status === 0, `it found fault with a good log: ${clean.text}`)
    const { bundle, flipped } = await withFlippedByte(log, async (copy) => verify(copy, logVkey))
    must(flipped.status === 1 && flipped.text.includes(bundle), `the flipped byte was not named: ${flipped.text}`)
    return `${await leavesOf(url)} leaves verify; one byte flipped in a copy: ${lineWith(bundle, flipped.text)}`
  })

  await step('The trace of one action, back to the human', async () => {
    const { steps, lines } = await traced(url, actionId)
    return [`${actionId}: ${steps} steps, every signature verified again`, ...lines].join('\n')
  })
}

/** The credential's id; the rest of it must not be printed. */
const credentialIdOf = (token: string): string =>
  JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()).jti

const problemOf = async (response: Response) =>
  (await response.json()) as { code?: string; access_request?: { endpoint: string } }

async function openInvoices(system: RunningSystem) {
  let tampering = false
  const api = await startInvoicesApi(system, {
    evidenceUrl: system.url, // one address in front of all services
    timeoutMs: 30_000, // a use that was allowed, and whose answer was abandoned, is gone
    store: fileOutcomeStore(join(system.data, 'sample', 'outcomes.json')),
    tamper: (args) => {
      if (tampering) args.invoice = 'INV-40'
    },
  })
  return {
    api,
    /** Runs a call while hostile code in the API changes its arguments as soon as the permit is there. */
    async tampering(run: () => Promise<Response>): Promise<Response> {
      tampering = true
      try {
        return await run()
      } finally {
        tampering = false
      }
    },
  }
}

/** The stolen credential: genuine, with a proof by a key that is not the one it confirms. */
async function callWithForeignKey(
  { data, clock, invoicesUrl }: RunningSystem,
  agent: Agent,
  grantId: string,
): Promise<Response> {
  const { token } = await agent.credential({ grantId })
  const url = `${invoicesUrl}/read`
  const jti = randomUUID()
  const proof = makeDpopProof(
    { htm: 'POST', htu: url, jti, now: clock.now(), accessToken: token },
    sampleKey(data, 'forecaster'),
  )
  return fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `DPoP ${token}`, dpop: proof },
    body: JSON.stringify({ invoice: 'INV-1' }),
  })
}

/** Another agent of the same owner, with its own key and good attestation, asks for a credential under this approval. */
async function refusedToStranger(stranger: Agent, grantId: string): Promise<string> {
  try {
    await stranger.credential({ grantId })
  } catch (error) {
    const code = errorCode(error)
    must(code === 'grant_unknown', `another agent got ${code}`)
    return `another agent of this owner: ${code}`
  }
  throw new Error('another agent got a credential')
}

/** C2SP tlog-checkpoint: the second line is the size. */
async function leavesOf(url: string): Promise<string | undefined> {
  const response = await fetch(`${url}/log/checkpoint`)
  must(response.status === 200, `the checkpoint answered ${response.status}`)
  return (await response.text()).split('\n')[1]
}

const lineWith = (word: string, text: string) =>
  text
    .split('\n')
    .find((line) => line.includes(word))
    ?.trim()
