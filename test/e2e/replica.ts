import { appendFileSync } from 'node:fs'
import type { Action, Trust } from '@bailiwick/credentials'
import { after, systemClock, systemRandom } from '@bailiwick/kit'
import { fileOutcomeStore, type Guarded, openEnforcementPoint } from '@bailiwick/pep'
import { sample, sampleKey } from '@bailiwick/standalone/sample'

/** One replica of the sample's enforcement point. */
export interface ReplicaOptions {
  url: string
  trust: Trust
  /** The folder of the sample's keys. */
  data: string
  /** The file to which it appends a line for each effect: the decision, the call and the instance. */
  effects: string
  outcomes: string
}

/** A request, as a load balancer passes it on. */
export interface Request {
  credential: string
  proof: string
  callId: string
  action: Action
  htu: string
}

// A process of its own. The first message configures it, and each later one is a request. Its effect takes some ms,
// during which it can be killed.
let opened: Promise<(request: Request) => Promise<Guarded<void>>> | undefined
process.on('message', async (message: ReplicaOptions | Request) => {
  if ('trust' in message) {
    opened = open(message)
    await opened
    process.send?.({ opened: true })
    return
  }
  const guard = await opened
  const answer = await guard?.(message)
  process.send?.({ callId: message.callId, answer: answer?.allowed ? 'allowed' : answer?.reason })
})

async function open({ url, trust, data, effects, outcomes }: ReplicaOptions) {
  const point = await openEnforcementPoint({
    ...{ id: sample.enforcementPoint, trust, pdpUrl: url, store: fileOutcomeStore(outcomes), timeoutMs: 20_000 },
    callerKey: sampleKey(data, 'point-caller'),
    outcomeKey: sampleKey(data, 'point-outcome'),
    now: systemClock.now,
    random: systemRandom,
  })
  return ({ credential, proof, callId, action, htu }: Request) =>
    point.guard({ credential, proof, htm: 'POST', htu, callId, action }, async ({ decisionId }) => {
      await after(5)
      appendFileSync(effects, `${JSON.stringify({ decisionId, callId, instance: point.instance })}\n`)
      await after(5)
    })
}
