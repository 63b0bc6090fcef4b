import { expect, it } from 'vitest'
import { temporaryFolder } from '../io.fixture.ts'
import { containmentOf } from './containment.ts'

/** A system without util-linux. */
const without = { PATH: '/nowhere' }

it('says why a program is not contained, and refuses where that is required (V13)', async () => {
  using folder = temporaryFolder()
  const at = { hidden: [], cwd: folder.path, env: without }
  expect(await containmentOf('auto', at)).toEqual({
    ...{ before: [], isContained: false, why: expect.stringContaining('setpriv') },
  })
  expect(await containmentOf('never', at)).toMatchObject({ isContained: false, why: '--contain never' })
  await expect(containmentOf('required', at)).rejects.toMatchObject({ code: 'config_invalid' })
  // A program that was to have no network does not start with one.
  for (const wish of ['auto', 'never'] as const)
    await expect(containmentOf(wish, { ...at, network: { folder: folder.path } })).rejects.toThrow('--network none')
})

it('refuses to hide what does not exist, and the folder in which the program would start', async () => {
  using folder = temporaryFolder()
  const at = { cwd: folder.path, env: without }
  await expect(containmentOf('auto', { ...at, hidden: [folder.at('nothing')] })).rejects.toThrow('does not exist')
  await expect(containmentOf('auto', { ...at, hidden: [folder.path] })).rejects.toThrow('outside of it')
})
