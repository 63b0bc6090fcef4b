import { expect, it } from 'vitest'
import { installation } from '../installation.fixture.ts'
import { bailiwick, temporaryFolder } from '../io.fixture.ts'
import { writeLog } from '../log.fixture.ts'

it('finds leaves that are no events, and says when it could not look', { timeout: 60_000 }, async () => {
  using folder = temporaryFolder()
  expect((await bailiwick(['audit', '--data', folder.path, '--json'], { env: process.env })).code).toBe(2)
  installation(folder)
  writeLog(folder.at('log'), [3])
  const audit = ['audit', '--data', folder.path, '--log', folder.at('log'), '--json']
  expect((await bailiwick(audit, { env: process.env })).code).toBe(1)
})
