import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { testClock } from '@bailiwick/kit'
import { expect, it } from 'vitest'
import { bailiwick, temporaryFolder } from '../io.fixture.ts'
import { benchMain } from '../repository.ts'
import { serve } from './serve.ts'

it('knows where the bench is, and passes its options and its exit code on', async () => {
  for (const each of ['main', 'log-main'] as const) expect(existsSync(benchMain(each))).toBe(true)
  using folder = temporaryFolder()
  const main = folder.at('main.mjs')
  const seen = folder.at('seen')
  writeFileSync(
    main,
    `import { writeFileSync } from 'node:fs'
     writeFileSync(${JSON.stringify(seen)}, JSON.stringify(process.argv.slice(2)))
     process.exitCode = 4\n`,
  )
  expect(
    await serve(main, {}, { clock: testClock(), err: () => undefined, args: ['--quick', '--only', 'publish'] }),
  ).toBe(4)
  expect(JSON.parse(readFileSync(seen, 'utf8'))).toEqual(['--quick', '--only', 'publish'])
})

it.each([[['--no-such-option']], [['no-such-measure']]])(
  'leaves what it does not know to the bench, which refuses it: %j',
  async (options) => {
    expect((await bailiwick(['bench', ...options], { env: { ...process.env } })).code).toBe(2)
  },
)
