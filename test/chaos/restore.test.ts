import { cpSync, existsSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { run } from '@bailiwick/cli'
import { paths } from '@bailiwick/installation'
import { systemClock, systemRandom } from '@bailiwick/service-kit'
import { expect, it } from 'vitest'
import { Stage } from './stage.ts'

async function bailiwick(...argv: string[]): Promise<{ code: number; said: string }> {
  const lines: string[] = []
  const say = (line: string) => void lines.push(line)
  const code = await run(argv, { out: say, err: say, env: {}, clock: systemClock, random: systemRandom })
  return { code, said: lines.join('\n') }
}

/** All that was revoked, as the log on the bus has it. */
const declared = async (stage: Stage) => (await stage.events('revocations.v1')).map(({ data }) => data)

it.each(['by `restore`', 'by hand'])(
  'what comes back from a backup, %s, revokes everything before it serves, once (V7)',
  async (way) => {
    const folder = mkdtempSync(join(tmpdir(), 'bailiwick-restore-'))
    const backup = join(folder, 'backup')
    try {
      await using stage = await Stage.open()
      const agent = stage.agent()
      const { grantId } = await stage.grant(agent)
      await stage.warm(agent, grantId)
      expect(await bailiwick('backup', backup, '--data', stage.data)).toMatchObject({
        code: 2,
        said: expect.stringContaining('must stop first'),
      })
      await stage.stop()
      expect(await bailiwick('backup', backup, '--data', stage.data)).toMatchObject({ code: 0 })
      await stage.start()
      const lost = ['revoke', 'grant', grantId, '--reason', 'lost with the disk', '--data', stage.data]
      expect(await bailiwick(...lost)).toMatchObject({ code: 0 })
      await stage.stop()
      // What was withdrawn since is lost with the disk.
      renameSync(stage.data, join(folder, 'lost'))
      if (way === 'by hand') cpSync(backup, stage.data, { recursive: true })
      else expect(await bailiwick('restore', backup, '--data', stage.data)).toMatchObject({ code: 0 })
      await stage.start()
      const all = { kind: 'all', by: { id: 'restore' } }
      expect(await declared(stage)).toMatchObject([all])
      expect(existsSync(paths(stage.data).backup)).toBe(false)
      expect(await stage.judged(agent, grantId)).toBe('everything_revoked')
      await stage.restart()
      expect(await declared(stage)).toMatchObject([all])
      await stage.approver.signIn()
      const { grantId: anew } = await stage.grant(agent)
      await stage.warm(agent, anew)
      expect(await stage.audited()).toMatchObject({ findings: [] })
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  },
)
