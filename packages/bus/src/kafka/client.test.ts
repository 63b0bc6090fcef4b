import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

it('a consumer that ends while its brokers change ends, and the process goes on', () => {
  // In a separate process: if it hangs, a test in the same process would never notice.
  const child = spawnSync(process.execPath, [fileURLToPath(new URL('./ending-child.ts', import.meta.url))], {
    timeout: 20_000,
    killSignal: 'SIGKILL',
    encoding: 'utf8',
  })
  expect({ out: child.stdout, err: child.stderr, signal: child.signal }).toEqual({
    out: 'ended\n',
    err: '',
    signal: null,
  })
})
