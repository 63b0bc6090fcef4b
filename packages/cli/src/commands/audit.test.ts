import { expect, it } from 'vitest'
import { installation } from '../installation.fixture.ts'
import { bailiwick, temporaryFolder } from '../io.fixture.ts'
import { writeLog } from '../log.fixture.ts'

it('finds leaves that are no events, and says when it could not look', async () => {
  using folder = temporaryFolder()
  const nothing = await bailiwick(['audit', '--data', folder.path, '--json'])
  expect([nothing.code, nothing.err]).toEqual([
    2,
    `bailiwick: --trust: cannot read ${folder.at('trust.json')} (ENOENT) (config_invalid)`,
  ])
  installation(folder)
  const nowhere = await bailiwick(['audit', '--data', folder.path, '--log', folder.at('no-log')])
  expect([nowhere.code, nowhere.err]).toEqual([
    2,
    `bailiwick: there is no log at ${folder.at('no-log')}: it has no checkpoint (config_invalid)`,
  ])
  writeLog(folder.at('log'), [3])
  const audit = ['audit', '--data', folder.path, '--log', folder.at('log'), '--json']
  expect((await bailiwick(audit)).code).toBe(1)
})
