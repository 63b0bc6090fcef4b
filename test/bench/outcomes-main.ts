import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { encodeBase64url, makeDpopProof, parseTrust } from '@bailiwick/credentials'
import { paths } from '@bailiwick/installation'
import { systemClock, systemRandom } from '@bailiwick/kit'
import { fileOutcomeStore, openEnforcementPoint } from '@bailiwick/pep'
import { sample, sampleKey } from '@bailiwick/standalone/sample'
import { invoiceCall } from './invoice-call.ts'
import type { Carried, Carrying } from './outcomes.ts'

// An enforcement point in a process of its own, with the agents that call it. It begins the given number of calls a
// second, each with a new proof, and reports their outcomes.

const everyMs = 20
const { data, url, htu, tokens, perSecond, seconds, mostInFlight } = JSON.parse(process.argv[2] ?? '{}') as Carrying
const agentKey = sampleKey(data, 'reconciler')
const { action, resource, digest } = invoiceCall()
const point = await openEnforcementPoint({
  id: sample.enforcementPoint,
  trust: parseTrust(readFileSync(paths(data).trust)),
  callerKey: sampleKey(data, 'point-caller'),
  outcomeKey: sampleKey(data, 'point-outcome'),
  pdpUrl: url,
  evidenceUrl: url,
  store: fileOutcomeStore(join(data, 'bench-outcomes.json')),
  timeoutMs: 5000,
  now: () => systemClock.now(),
  random: systemRandom,
})
const carried: Carried = { allowed: 0, refused: {}, notBegun: 0, ms: 0, drainMs: 0, cpuMs: 0 }
let nonce: string | undefined
let called = 0

async function call(): Promise<void> {
  const credential = tokens[called++ % tokens.length] as string
  for (let tries = 0; tries < 2; tries++) {
    const jti = encodeBase64url(systemRandom(16))
    const claims = {
      htm: 'POST',
      htu,
      jti,
      now: systemClock.now(),
      accessToken: credential,
      actionDigest: digest,
      nonce,
    }
    const proof = makeDpopProof(claims, agentKey)
    const call = { credential, proof, htm: 'POST', htu, action: { ...action, resource } }
    const said = await point.guard(call, async () => undefined)
    if (said.allowed) {
      carried.allowed++
      return
    }
    nonce = said.dpopNonce ?? nonce
    if (said.reason === 'proof_nonce_required' && tries === 0) continue
    carried.refused[said.reason] = (carried.refused[said.reason] ?? 0) + 1
    return
  }
}

await call()
Object.assign(carried, { allowed: 0, refused: {} })
const cpuBefore = process.cpuUsage()
const underWay = new Set<Promise<void>>()
const begun = systemClock.monotonic()
let due = 0
for (let ms = 0; ms < seconds * 1000; ms = systemClock.monotonic() - begun) {
  for (const now = Math.floor((ms / 1000) * perSecond); due < now; due++) {
    if (underWay.size >= mostInFlight) {
      carried.notBegun++
      continue
    }
    const calling = call().finally(() => underWay.delete(calling))
    underWay.add(calling)
  }
  await pause(everyMs)
}
await Promise.all(underWay)
carried.ms = systemClock.monotonic() - begun
await point.delivered()
carried.drainMs = systemClock.monotonic() - begun - carried.ms
const { user, system } = process.cpuUsage(cpuBefore)
carried.cpuMs = (user + system) / 1000
await point[Symbol.asyncDispose]()
process.stdout.write(JSON.stringify(carried))
