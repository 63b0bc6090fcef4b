import { expect, it } from 'vitest'
import { Cancelling } from './cancelling.ts'

const cancel = Buffer.from([0x21, 0, 0, 0, 4])
const sync = Buffer.from([0x53, 0, 0, 0, 4])

it('puts a request to cancel between two messages, and never into one', () => {
  const cancelling = new Cancelling()
  cancelling.write(sync)
  cancelling.cancel()
  cancelling.write(sync.subarray(0, 3))
  cancelling.cancel()
  cancelling.write(Buffer.concat([sync.subarray(3), sync.subarray(0, 2)]))
  cancelling.write(sync.subarray(2))
  const passed: Buffer[] = []
  for (let chunk = cancelling.read(); chunk !== null; chunk = cancelling.read()) passed.push(chunk)
  expect(Buffer.concat(passed)).toEqual(Buffer.concat([sync, cancel, sync, cancel, sync]))
})
