import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { systemClock, systemRandom } from '@bailiwick/kit'
import { sampleAuthority } from '@bailiwick/standalone/sample'
import { sampleAgent } from '@bailiwick/standalone/sample-agent'
import { enrolApprover, preparePlace } from '@bailiwick/testkit'
import { onTopic } from '@bailiwick/verify/audit'
import { expect, it } from 'vitest'
import { again } from './again.ts'
import { dyingAt, files, type Place } from './die-at.ts'
import { leavesIn, quiet, reckon } from './reckoning.ts'
import { generator, seed } from './seed.ts'
import { standalone } from './standalone.ts'
import { Acknowledged } from './story.ts'
import { tally } from './tally.ts'

const rounds = Number(process.env.BAILIWICK_CHAOS_ROUNDS ?? (process.env.BAILIWICK_NIGHTLY === '1' ? 20 : 1))
/** Of a machine on which others work too. */
const [readyWithinMs, patienceMs] = [120_000, 60_000]

/** How many credentials are intended, signed and issued, of the one that is lost and the one that a retry gets; undefined: that depends on the moment. */
const steps: [place: Place, intended: number | undefined, signed: number | undefined, issued: number | undefined][] = [
  [{ step: 'credential.intended', side: 'before' }, 1, 1, 1],
  [{ step: 'credential.intended', side: 'after' }, 1, 1, 1],
  [{ step: 'credential.intended', side: 'after', delayMs: 3 }, undefined, undefined, undefined],
  [{ step: 'sign', side: 'before' }, 2, 1, 1],
  [{ step: 'sign', side: 'after' }, 2, 2, 1],
  [{ step: 'credential.issued', side: 'before' }, 2, 2, 1],
  [{ step: 'credential.issued', side: 'after', delayMs: 2 }, 2, 2, undefined],
  [{ step: 'answer', side: 'before' }, 2, 2, 2],
]

const title = `an issuer that is killed between any two steps of minting, ${rounds * steps.length} times, has signed nothing without an earlier durable intent and nothing twice, and the retry is answered (V2, V4)`

it(title, { timeout: rounds * steps.length * 60_000 + 120_000 }, async ({ annotate }) => {
  await annotate(`seed ${seed}`)
  const random = generator(seed)
  const folder = mkdtempSync(join(tmpdir(), 'bailiwick-mint-kills-'))
  const file = (name: keyof typeof files) => join(folder, files[name])
  writeFileSync(file('signatures'), '')
  const place = await preparePlace({})
  const { data, url, trust } = place
  await using system = standalone(place, dyingAt(folder))
  system.start()
  await system.ready(readyWithinMs)
  const approver = await enrolApprover({ url, data })
  // A new one each time: it remembers no credential.
  const agent = () => sampleAgent({ data, trust, clock: systemClock, random: systemRandom }, 'reconciler')
  const { requestId } = await agent().request({ authority: sampleAuthority, mode: 'window', expiresInSeconds: 28_800 })
  const { grant_id: grantId = '' } = await approver.approve(requestId)
  const mint = async () => idOf((await agent().credential({ grantId })).token)
  const signed = () => readFileSync(file('signatures'), 'utf8').split('\n').slice(0, -1)
  const acknowledged = new Acknowledged()
  acknowledged.credentials.add(await again(mint))
  const lives: { lost: string[]; at: Place; answered: string }[] = []
  for (let round = 0; round < rounds; round++)
    for (const [each, , signatures] of steps) {
      const at = each.delayMs === undefined ? each : { ...each, delayMs: random() * each.delayMs }
      const before = signed().length
      writeFileSync(file('armed'), JSON.stringify(at))
      const lost: string[] = []
      const reached = () => existsSync(file('reached'))
      // Again, where a machine that is late answers before there is a step that it is not ready.
      const asking = (async () => {
        while (!reached() && lost.length === 0) await mint().then((id) => lost.push(id), pauseAfter)
      })()
      for (const end = performance.now() + patienceMs; !reached(); await pause(5))
        if (performance.now() > end) throw new Error(`never came to ${JSON.stringify(at)}`)
      await system.kill()
      tally('SIGKILL', 'standalone while it mints')
      await asking
      rmSync(file('reached'))
      system.start()
      await system.ready(readyWithinMs)
      const answered = await again(mint)
      acknowledged.credentials.add(answered)
      if (signatures !== undefined) expect([at, signed().length - before]).toEqual([at, signatures])
      lives.push({ lost, at, answered })
    }
  await quiet(url)
  await system.stop()

  await reckon(
    data,
    { seed, kills: lives.length, signed: signed().length },
    { acknowledged, effects: 0, errors: system.errors },
  )
  const leaves = await leavesIn(data)
  const said = (type: string) =>
    onTopic(leaves, 'grants.v1').flatMap(({ event }) => (event.type === type ? [event.subject ?? ''] : []))
  const [intended, issued] = [said('credential.intended'), said('credential.issued')]
  for (const ids of [intended, signed(), issued]) expect(new Set(ids).size).toBe(ids.length)
  // Each signed credential had been recorded, though its process was killed the moment after.
  expect(signed().filter((id) => !intended.includes(id))).toEqual([])
  expect(issued.filter((id) => !signed().includes(id))).toEqual([])
  for (const [n, { lost, at, answered }] of lives.entries()) {
    // A caller without an answer got no credential; each life was one credential lost and one retried.
    // Once it was recorded the answer may be on its way before the process stands still: then it is what was recorded.
    const mayBeAnswered = at.step === 'credential.issued' && at.side === 'after' ? issued : []
    expect([at, lost.filter((id) => !mayBeAnswered.includes(id))]).toEqual([at, []])
    const [, intents, , events] = steps[n % steps.length] ?? []
    const from = n === 0 ? [...acknowledged.credentials][0] : lives[n - 1]?.answered
    const within = (ids: string[]) => ids.indexOf(answered) - ids.indexOf(from ?? '')
    if (intents !== undefined) expect([at, within(intended)]).toEqual([at, intents])
    if (events !== undefined) expect([at, within(issued)]).toEqual([at, events])
  }
  expect(system.crashes, system.output).toBe(0)
  rmSync(folder, { recursive: true })
  place.leave()
})

const idOf = (token: string): string => JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()).jti

const pauseAfter = () => pause(100)
