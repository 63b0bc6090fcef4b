import { makeDpopProof, signClientAssertion } from '@bailiwick/credentials'
import { ServiceProcess } from '@bailiwick/testkit'
import { cpuMs } from './cpu-time.ts'
import { type Bench, inFlight, type Measure, median, percentile, perSecond } from './measure.ts'
import { signatureCosts } from './physical.ts'
import { granted, type Place } from './place.ts'
import { eventBytes } from './publish.ts'

const grants = 32
const width = 64
/** A signature made beforehand is valid for a minute. */
const lot = 1000
/** Client assertion, proof, and the credential as it is read back before it leaves. */
const needed = { signs: 3, verifies: 3 }

/** How many credentials an issuer makes, and how much of that is elliptic-curve work. */
export async function measureIssuance({ dir, quick, progress }: Bench): Promise<Measure> {
  const count = quick ? 100 : 6000
  const place = await granted(dir, grants)
  const env = {
    BAILIWICK_DATA: place.data,
    BAILIWICK_PORT: new URL(place.url).port,
    BAILIWICK_LOG_LEVEL: 'warn',
    BAILIWICK_AGENT_CALLS_PER_SECOND: '1000000',
    PATH: process.env.PATH ?? '',
  }
  await using issuer = new ServiceProcess({ service: 'issuer', env })
  issuer.start()
  await issuer.ready()
  const client = new Client(place)
  await client.learnNonce()

  const { signMs, verifyMs } = await signatureCosts(Buffer.alloc(eventBytes, 'x'))
  await client.issue(client.signed(Math.min(lot, count)), width)
  const many = { each: [] as number[], totalMs: 0, cpuMs: 0 }
  for (let left = count; left > 0; left -= lot) {
    progress(`issuance: ${count - left} of ${count}`)
    const asked = client.signed(Math.min(lot, left))
    const before = cpuMs(issuer.pid)
    const { each, totalMs } = await client.issue(asked, width)
    many.cpuMs += cpuMs(issuer.pid) - before
    many.each.push(...each)
    many.totalMs += totalMs
  }
  const one = await client.issue(client.signed(quick ? 20 : 500), 1)
  const core = perSecond(count, many.cpuMs)
  const raw = perSecond(1, signMs + verifyMs)
  const bound = perSecond(1, needed.signs * signMs + needed.verifies * verifyMs)
  return {
    id: 'issuance',
    title: 'Issuing credentials',
    how:
      `${count.toLocaleString('en-US')} credentials for one agent under ${grants} grants, from the token endpoint of \`bailiwick serve issuer\`, by itself on the ` +
      `embedded bus, over HTTP, ${width} in flight; assertions and proofs are signed beforehand. Each has a durable intent, is signed, read back by the ` +
      'verifier that others use, and recorded again. Of a core: credentials by the CPU time (user and system) of that process, fsync, ' +
      'HTTP and garbage collection included. Raw: one ES256 verification and one signature by node:crypto in the same run. What each credential needs at ' +
      `least is ${needed.verifies} verifications (assertion, proof, what was signed) and ${needed.signs} signatures (intent, credential, issued), three times ` +
      'what it is compared with: if nothing else cost anything it were 0.33 ×, so 0.4 × is out of reach of what is recorded before and after it is signed. ' +
      'The verifier that others use asks Web Crypto, on another thread, which doubles what its verification costs.',
    rows: [
      { name: 'credentials, by the clock', value: perSecond(count, many.totalMs), unit: '/s' },
      { name: 'credentials, of a core', value: core, unit: '/s' },
      { name: 'raw verify + sign, of a core', value: raw, unit: '/s' },
      { name: 'credentials ÷ raw verify + sign', value: core / raw, unit: '×', target: { atLeast: 0.4 } },
      { name: 'credentials ÷ the signatures that each needs', value: core / bound, unit: '×' },
      { name: `issued, ${width} in flight, p50`, value: median(many.each), unit: 'ms' },
      { name: `issued, ${width} in flight, p99`, value: percentile(many.each, 0.99), unit: 'ms' },
      { name: 'issued, one at a time, p50', value: median(one.each), unit: 'ms' },
      { name: 'issued, one at a time, p99', value: percentile(one.each, 0.99), unit: 'ms' },
    ],
  }
}

interface Asked {
  body: URLSearchParams
  dpop: string
}

class Client {
  readonly #place: Place
  #nonce = ''
  #made = 0

  constructor(place: Place) {
    this.#place = place
  }

  async learnNonce(): Promise<void> {
    const { headers } = await this.#post(this.#sign())
    this.#nonce = headers.get('dpop-nonce') ?? ''
  }

  signed(count: number): Asked[] {
    return Array.from({ length: count }, () => this.#sign())
  }

  issue(asked: readonly Asked[], inFlightNow: number) {
    return inFlight(inFlightNow, asked.length, async (n) => {
      const answer = await this.#post(asked[n] as Asked)
      if (answer.status !== 200) throw new Error(`not issued: ${await answer.text()}`)
      await answer.arrayBuffer()
    })
  }

  #post({ body, dpop }: Asked): Promise<Response> {
    return fetch(`${this.#place.url}/oauth/token`, { method: 'POST', headers: { dpop }, body })
  }

  #sign(): Asked {
    const { url, agent, key, grantIds } = this.#place
    const n = ++this.#made
    const jti = `bench-${process.pid}-${String(n).padStart(10, '0')}`
    const now = Date.now()
    const iat = Math.floor(now / 1000)
    const claims = { iss: agent, sub: agent, aud: url, iat, exp: iat + 60, jti }
    const proof = { htm: 'POST', htu: `${url}/oauth/token`, jti, now, nonce: this.#nonce || undefined }
    const grant_id = grantIds[n % grantIds.length]
    return {
      dpop: makeDpopProof(proof, key),
      body: new URLSearchParams({
        grant_type: 'client_credentials',
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        client_assertion: signClientAssertion(claims, key),
        authorization_details: JSON.stringify([{ type: 'bailiwick_grant', grant_id }]),
      }),
    }
  }
}
