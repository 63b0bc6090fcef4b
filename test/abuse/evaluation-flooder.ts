import { actionDigest, makeDpopProof, signCallerAssertion } from '@bailiwick/credentials'
import { newId, systemRandom } from '@bailiwick/kit'
import { sample, sampleKey } from '@bailiwick/standalone/sample'

/** A flood through the sample enforcement point. */
export interface Flood {
  url: string
  /** The folder of the sample's keys. */
  data: string
  agent: (typeof sample.agents)[number]
  /** The audience, as tokens name it. */
  subject: string
  credential: string
  count: number
}

/** The outcome of one request in a flood: 429, or an ALLOW. */
export interface Told {
  agent: Flood['agent']
  answer: 'refused' | 'allowed'
}

const properties = { id: '1' }
const resource = { type: 'tool', id: `${sample.toolServer}/read` }
const action_digest = actionDigest({ name: 'tools/call', properties, resource })
const htu = `${sample.invoicesUrl}/tools`

// A process of its own. It sends this many requests at once, each over its own connection, and repeats each until it is
// refused as one too many or allowed. It reports each outcome to its parent.
process.on('message', (flood: Flood) => {
  const { url, data, agent, subject, credential, count } = flood
  const caller = sampleKey(data, 'point-caller')
  const proofKey = sampleKey(data, agent)
  let nonce: string | undefined

  async function ask(): Promise<Told['answer'] | undefined> {
    const now = Date.now()
    const id = () => newId('call', now, systemRandom)
    const proof = makeDpopProof(
      { htm: 'POST', htu, jti: id(), now, nonce, accessToken: credential, actionDigest: action_digest },
      proofKey,
    )
    const iat = Math.floor(now / 1000)
    const { enforcementPoint: iss } = sample
    const assertion = signCallerAssertion({ iss, sub: iss, aud: url, iat, exp: iat + 60, jti: id() }, caller)
    const answer = await fetch(`${url}/access/v1/evaluation`, {
      method: 'POST',
      headers: { authorization: `Bearer ${assertion}`, 'content-type': 'application/json' },
      body: JSON.stringify({
        subject: { type: 'agent', id: subject },
        action: { name: 'tools/call', properties },
        resource,
        context: { bailiwick: { credential, proof, htm: 'POST', htu, action_digest } },
      }),
    })
    const { decision, context } = (await answer.json()) as { decision?: boolean; context?: { dpop_nonce?: string } }
    nonce = context?.dpop_nonce ?? nonce
    if (answer.status === 429) return 'refused'
    return decision === true ? 'allowed' : undefined
  }
  const insist = async () => {
    let answer: Told['answer'] | undefined
    while (answer === undefined) answer = await ask().catch(() => undefined)
    const told: Told = { agent, answer }
    process.send?.(told)
  }
  for (let n = 0; n < count; n++) void insist()
})
