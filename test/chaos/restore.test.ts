import { appendFileSync, cpSync, existsSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { run } from '@bailiwick/cli'
import { paths } from '@bailiwick/installation'
import { systemClock, systemRandom } from '@bailiwick/kit'
import { sampleAuthority } from '@bailiwick/standalone/sample'
import { expect, it } from 'vitest'
import { holding, operatorAt } from '../abuse/operator.ts'
import { eventually } from '../e2e/world.ts'
import { Stage } from './stage.ts'

const words = 'CANARY-9e of the agent'

async function bailiwick(...argv: string[]): Promise<{ code: number; said: string }> {
  const lines: string[] = []
  const say = (line: string) => void lines.push(line)
  const code = await run(argv, { out: say, err: say, env: {}, clock: systemClock, random: systemRandom })
  return { code, said: lines.join('\n') }
}

/** All that was revoked, as the log on the bus has it. */
const declared = async (stage: Stage) =>
  (await stage.events('revocations.v1')).filter(({ type }) => type === 'revocation.declared').map(({ data }) => data)

it.each(['by `restore`', 'by hand'])(
  'what comes back from a backup, %s, revokes everything before it serves, once; what was erased since is erased again by a list (V7, V17)',
  async (way) => {
    const folder = mkdtempSync(join(tmpdir(), 'bailiwick-restore-'))
    const backup = join(folder, 'backup')
    try {
      await using stage = await Stage.open({ BAILIWICK_KEEP_CALLS: '1' })
      const at = ['--data', stage.data]
      const agent = stage.agent()
      const { grantId } = await stage.grant(agent)
      await stage.warm(agent, grantId)
      const why = { authority: sampleAuthority, mode: 'window', expiresInSeconds: 700, purpose: words } as never
      const { requestId } = await agent.request(why)
      const allowed = (await stage.events('decisions.v1')).find(({ type }) => type === 'decision.allowed')
      const { decision_id } = Object(allowed?.data) as { decision_id: string }
      const cli = operatorAt(stage.data)
      const provedCall = async () =>
        /value_gone|(?<=\\")INV-1(?=\\")/.exec((await cli('prove', decision_id, '--reveal', 'call')).out)?.[0]
      await expect.poll(provedCall, { timeout: 60_000 }).toBe('INV-1')
      const values = () => holding(stage.data, words).filter((file) => file.includes('/evidence/values/'))
      await eventually(() => values().length > 0 || undefined)
      expect(await bailiwick('backup', backup, '--data', stage.data)).toMatchObject({
        code: 2,
        said: expect.stringContaining('must stop first'),
      })
      // Nor by an installation whose socket is gone: the lock of its bus is not.
      const { operatorSocket } = paths(stage.data)
      renameSync(operatorSocket, join(folder, 'socket'))
      expect(await bailiwick('backup', backup, '--data', stage.data)).toMatchObject({
        code: 2,
        said: expect.stringContaining('must stop first'),
      })
      renameSync(join(folder, 'socket'), operatorSocket)
      await stage.stop()
      expect(await bailiwick('backup', backup, '--data', stage.data)).toMatchObject({ code: 0 })
      await stage.start()
      const lost = ['revoke', 'grant', grantId, '--reason', 'lost with the disk', '--data', stage.data]
      expect(await bailiwick(...lost)).toMatchObject({ code: 0 })
      const list = join(folder, 'erasures.jsonl')
      for (const id of [requestId, decision_id]) {
        const { out } = await cli('erase', id, '--reason', 'personal_data', '--yes', '--json')
        appendFileSync(list, `${/^{.*}$/m.exec(out)?.[0] ?? out}\n`)
      }
      await eventually(() => holding(stage.data, words).length === 0 || undefined)
      await expect.poll(provedCall, { timeout: 60_000 }).toBe('value_gone')
      await stage.stop()
      // What was withdrawn since is lost with the disk.
      renameSync(stage.data, join(folder, 'lost'))
      if (way === 'by hand') cpSync(backup, stage.data, { recursive: true })
      else
        expect(await bailiwick('restore', backup, ...at)).toMatchObject({
          code: 0,
          said: expect.stringContaining('erase --again'),
        })
      await stage.start()
      const all = { kind: 'all', by: { id: 'restore' } }
      expect(await declared(stage)).toMatchObject([all])
      expect(existsSync(paths(stage.data).backup)).toBe(false)
      // The older log knows of no erasure. Who kept the list does.
      expect(values()).not.toEqual([])
      await expect.poll(provedCall, { timeout: 60_000 }).toBe('INV-1')
      await eventually(async () => {
        const { out } = await cli('erase', '--again', list, '--yes')
        return out.includes('Nothing of these 2 is here') || undefined
      })
      expect(holding(stage.data, words)).toEqual([])
      expect(await provedCall()).toBe('value_gone')
      expect((await cli('trace', requestId)).out).toMatch(/: erased \S+ by operator \(personal_data\)/)
      expect(await stage.judged(agent, grantId)).toBe('everything_revoked')
      await stage.restart()
      expect(await declared(stage)).toMatchObject([all])
      expect(holding(stage.data, words)).toEqual([])
      await stage.approver.signIn()
      const { grantId: anew } = await stage.grant(agent)
      await stage.warm(agent, anew)
      expect(await stage.audited()).toMatchObject({ findings: [] })
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  },
)
