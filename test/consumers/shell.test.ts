import { join } from 'node:path'
import { startSystem } from '@bailiwick/testkit'
import { expect, it } from 'vitest'
import { run } from './programs.ts'

const repository = join(import.meta.dirname, '../..')

it('the shell example sends a request, and shows its result', async () => {
  await using system = await startSystem()
  const { code, out, err } = await run(
    join(repository, 'examples/consumers/shell/ask.sh'),
    [join(system.data, 'sample/forecaster.json'), 'spiffe://bailiwick.local/agent/forecaster/i1'],
    {
      env: {
        COMMAND: `${process.execPath} ${join(repository, 'packages/cli/src/main.ts')}`,
        BAILIWICK_DATA: system.data,
      },
    },
  )
  expect({ code, err }).toEqual({ code: 0, err: expect.stringMatching(/^SINGLE OPERATOR: .*\n$/) })
  expect(out).toMatch(/^asked {3}req_[A-Za-z0-9_-]+\nstate {3}pending\n$/)
})
