import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

it('a consumer that ends while its brokers change ends, and the process goes on', () => {
  // By itself: a test in this process would never hear that it hangs.
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
