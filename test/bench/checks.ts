import { generateKeyPairSync, sign, verify } from 'node:crypto'
import {
  claimedKeyId,
  generateKey,
  makeDpopProof,
  publicKeyOf,
  signAccessToken,
  verifyAccessToken,
  verifyDpopProof,
} from '@bailiwick/credentials'
import { sampleAuthority } from '@bailiwick/standalone/sample'
import { type Bench, type Measure, median, timed } from './measure.ts'

const origin = 'http://localhost:8420'
const htu = `${origin}/read`
const leewayMs = 5000

/** The cost of verifying that a call comes from the credential's holder, next to the unavoidable signature checks. */
export async function measureChecks({ quick, progress }: Bench): Promise<Measure> {
  const count = quick ? 200 : 20_000
  const warm = quick ? 50 : 2000
  progress('checks: signing')
  const { check, checkCold } = checks(warm + count)
  const raw = rawVerify()
  const each = { check: [] as number[], cold: [] as number[], raw: [] as number[] }
  // In turns, so that other load on the machine affects all of them.
  for (let n = 0; n < warm + count; n++) {
    const times = { check: await timed(() => check(n)), raw: await timed(raw) }
    if (n < warm) continue
    each.check.push(times.check)
    each.raw.push(times.raw)
    if (n % 100 === 0) progress(`checks: ${n - warm} of ${count}`)
  }
  for (let n = 0; n < Math.min(count, 500); n++) each.cold.push(await timed(checkCold))
  const us = (values: readonly number[]) => median(values) * 1000
  return {
    id: 'checks',
    title: 'Checking a call: credential and proof',
    how:
      `${count.toLocaleString('en-US')} calls with one credential and a new DPoP proof each, checked as a decision point does (signatures, header, ` +
      'claims, audience, life, htm, htu, ath), in turns with one ES256 verification by node:crypto over as many bytes as a proof has; ' +
      'medians. Warm: the credential was seen before, so its signature is not verified again, its life and its key are. Memory of ' +
      'replays, which may ask Redis, is not in it.',
    rows: [
      { name: 'one raw ES256 verification', value: us(each.raw), unit: 'µs' },
      { name: 'credential and proof, warm', value: us(each.check), unit: 'µs' },
      { name: 'credential and proof ÷ raw', value: us(each.check) / us(each.raw), unit: '×', target: { atMost: 1.5 } },
      { name: 'a credential that was never seen', value: us(each.cold), unit: 'µs' },
    ],
  }
}

function checks(count: number): { check: (n: number) => void; checkCold: () => void } {
  const key = generateKey('credential')
  const agent = generateKey('agent')
  const now = Date.now()
  const token = () => tokenFor(key, agent.kid, now)
  const held = token()
  const cold = Array.from({ length: 600 }, token)
  const proofs = Array.from({ length: count }, (_, n) =>
    makeDpopProof(
      {
        ...{ htm: 'POST', htu, now, accessToken: held, actionDigest: 'A'.repeat(43), nonce: 'N'.repeat(43) },
        jti: `bench-${String(n).padStart(12, '0')}`,
      },
      agent,
    ),
  )
  const open = publicKeyOf(key)
  const read = (credential: string) => {
    if (claimedKeyId(credential) !== open.kid) throw new Error('another key')
    return verifyAccessToken({ token: credential, key: open, issuer: origin, audience: origin, now, leewayMs: 0 })
  }
  return {
    check(n) {
      const shown = read(held)
      const proof = verifyDpopProof({
        ...{ proof: proofs[n] as string, htm: 'POST', htu, accessToken: held },
        ...{ maxAgeMs: 60_000, now, leewayMs },
      })
      if (!shown.ok || !proof.ok || proof.value.jkt !== shown.value.cnf.jkt) throw new Error('refused')
    },
    checkCold() {
      if (!read(cold.pop() as string).ok) throw new Error('refused')
    },
  }
}

let made = 0

function tokenFor(key: Parameters<typeof signAccessToken>[1], jkt: string, now: number): string {
  const iat = Math.floor(now / 1000)
  const id = 'grt_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'
  const agent = 'spiffe://bailiwick.local/agent/reconciler/i1'
  const grant = { id, root: id, request: 'req_AAAAAAAAAAAAAAAAAAAA', mode: 'window' as const, as_of: 0 }
  const claims = { iss: origin, aud: origin, sub: agent, client_id: agent, iat, exp: iat + 300, cnf: { jkt } }
  return signAccessToken(
    {
      ...claims,
      jti: `crd_${String(++made).padStart(20, '0')}`,
      authorization_details: [{ ...sampleAuthority }],
      grant: { ...grant, statement_hash: 'A'.repeat(43) },
    },
    key,
  )
}

function rawVerify(): () => void {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const bytes = Buffer.alloc(700, 'x')
  const signature = sign('sha256', bytes, { key: privateKey, dsaEncoding: 'ieee-p1363' })
  return () => {
    if (!verify('sha256', bytes, { key: publicKey, dsaEncoding: 'ieee-p1363' }, signature)) throw new Error('refused')
  }
}
