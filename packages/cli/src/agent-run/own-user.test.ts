import { chmodSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { temporaryFolder } from '../io.fixture.ts'
import { environmentOf, ownUser, reachableBy } from './own-user.ts'

const env = { PATH: process.env.PATH ?? '' }

it('is no user of its own for who is not root', async () => {
  if (process.getuid?.() === 0) return
  const given = { files: [], cwd: '/', env }
  await expect(ownUser('daemon', given)).rejects.toMatchObject({ code: 'config_invalid' })
})

describe.skipIf(process.getuid?.() !== 0)('a user of its own', () => {
  it('is refused if it is root, is none, can read a key, or cannot enter the folder', async () => {
    using folder = temporaryFolder()
    writeFileSync(folder.at('key.json'), '{}', { mode: 0o644 })
    const files = [folder.at('key.json')]
    const refused = async (name: string, cwd: string) =>
      ownUser(name, { files, cwd, env }).then(
        () => 'accepted',
        (error: { detail: string }) => error.detail,
      )
    expect(await refused('root', '/')).toContain('root can read every key')
    expect(await refused('no-such-user', '/')).toContain('there is no such user')
    expect(await refused('daemon;id', '/')).toContain('no name of a user')
    // The folder keeps the file from it.
    expect(await refused('daemon', '/')).toBe('accepted')
    expect(await refused('daemon', folder.path)).toContain('cannot enter')
    chmodSync(folder.path, 0o755)
    expect(await refused('daemon', folder.path)).toContain('this user can read')
  })

  it('finds what is not kept from it, and has an environment of its own', async () => {
    using folder = temporaryFolder()
    writeFileSync(folder.at('secret'), '')
    const user = await ownUser('daemon', { files: [folder.at('secret')], cwd: '/', env })
    expect(await reachableBy(user, [folder.at('secret'), '/etc/passwd', '/no/such/file'], env)).toEqual(['/etc/passwd'])
    expect(environmentOf({ ...env, HOME: '/root', XDG_RUNTIME_DIR: '/run/user/0' }, user)).toEqual({
      ...env,
      ...{ HOME: '/usr/sbin', USER: 'daemon', LOGNAME: 'daemon' },
    })
  })
})
