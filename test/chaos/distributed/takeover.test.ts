import { setTimeout as pause } from 'node:timers/promises'
import type { ServiceName } from '@bailiwick/contracts'
import { lacks } from '@bailiwick/native'
import type { ServiceProcess } from '@bailiwick/testkit'
import { describe, expect, it } from 'vitest'
import { tally } from '../tally.ts'
import { counts } from './counts.ts'
import { type Play, readyWithinMs, usePlay } from './play.ts'

const ofOne = ['issuer', 'approval', 'evidence'] as const satisfies readonly ServiceName[]

/** Whether it is the one of its service that acts; one that does not answer is not. */
async function acts({ service, url }: ServiceProcess): Promise<boolean> {
  const answer = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(500) }).catch(() => undefined)
  const said = await answer?.text().catch(() => undefined)
  return said !== undefined && !said.includes(`${service}-active`)
}

describe.skipIf(lacks('secure-kafka', 'redis'))('a second process of each service of which one acts', () => {
  let play: Play
  usePlay({ instances: { issuer: 2, approval: 2, evidence: 2, 'policy-decision': 1 } }, (opened) => {
    play = opened
  })

  async function roles(service: ServiceName): Promise<{ active: ServiceProcess; standby: ServiceProcess }> {
    for (const deadline = performance.now() + readyWithinMs; performance.now() < deadline; await pause(50)) {
      const all = play.system.processes[service]
      const acting = await Promise.all(all.map(acts))
      const [active, standby] = [all[acting.indexOf(true)], all[acting.indexOf(false)]]
      if (acting.filter((each) => each).length === 1 && active && standby) return { active, standby }
    }
    throw new Error(`${service}: it is never one that acts`)
  }

  /** Waits until `next` acts. Prints how long it takes, but does not assert it: on a busy machine a head is late, and so is every answer. */
  async function takenOver(what: string, next: ServiceProcess): Promise<void> {
    const began = performance.now()
    await expect.poll(() => acts(next), { timeout: readyWithinMs }).toBe(true)
    console.log(`${what}: taken over after ${Math.round(performance.now() - began)} ms`)
  }

  const runs = Array.from({ length: counts.takeovers }, (_, n) => n)

  it(
    'killed, it is succeeded, and nothing is lost, doubled or revived (V2, V4, V7, V10)',
    async () => {
      await play.through('active ones killed', async () => {
        for (const _ of runs)
          for (const service of ofOne) {
            const { active, standby } = await roles(service)
            await active.kill()
            tally('SIGKILL', `${service} that acts`)
            await takenOver(`${service} killed`, standby)
            active.start()
            await play.goesOn()
          }
      })
    },
    counts.takeovers * 90_000 + 120_000,
  )

  it('stopped in order, it is succeeded (V2, V4, V10)', async () => {
    await play.through('active ones stopped', async () => {
      for (const service of ofOne) {
        const { active, standby } = await roles(service)
        await active.stop()
        await takenOver(`${service} stopped`, standby)
        active.start()
        await play.goesOn()
      }
    })
  }, 240_000)

  it('stalled, it is succeeded; when it wakes it ends, and stands by once it is started again (V2, V4, V7, V8)', async () => {
    await play.through('active ones stalled', async () => {
      for (const service of ['issuer', 'approval'] as const) {
        const { active, standby } = await roles(service)
        const { successions } = active
        active.signal('SIGSTOP')
        tally('SIGSTOP', service)
        await takenOver(`${service} stalled`, standby)
        await pause(1000)
        active.signal('SIGCONT')
        await expect.poll(() => active.successions).toBeGreaterThan(successions)
        await roles(service)
        await play.goesOn()
      }
    })
  }, 240_000)

  it('stalled, evidence keeps its lock: no other instance writes the log, and it goes on when it wakes (V14)', async () => {
    await play.through('evidence stalled', async () => {
      const { active, standby } = await roles('evidence')
      active.signal('SIGSTOP')
      tally('SIGSTOP', 'evidence')
      const said = async () => (await fetch(`${standby.url}/readyz`)).text()
      await expect.poll(said).toContain('log_locked')
      expect(await acts(standby)).toBe(false)
      active.signal('SIGCONT')
      expect((await roles('evidence')).active).toBe(active)
    })
  }, 240_000)
})
