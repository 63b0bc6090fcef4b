import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { expect, it } from 'vitest'

it('refuses --plain, and names the service that decides by policies alone', async () => {
  const main = join(import.meta.dirname, 'main.ts')
  const { promise, resolve } = Promise.withResolvers<{ code: unknown; said: string }>()
  const child = execFile(process.execPath, [main, '--plain'], { env: {} }, (_, __, said) =>
    resolve({ code: child.exitCode, said }),
  )
  expect(await promise).toEqual({ code: 1, said: expect.stringMatching(/^config_invalid: .*services\/plain-pdp/) })
})
