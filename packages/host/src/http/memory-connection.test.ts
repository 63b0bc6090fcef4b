import { once } from 'node:events'
import type { Readable } from 'node:stream'
import { after } from '@bailiwick/kit'
import { expect, it } from 'vitest'
import { ConnectionEnd } from './memory-connection.ts'

/** All that arrives. It leaves the end open. */
async function textOf(end: Readable): Promise<string> {
  let text = ''
  end.on('data', (chunk) => {
    text += chunk
  })
  await once(end, 'end')
  return text
}

const peer = { remoteAddress: '192.0.2.1', remotePort: 4711, isEncrypted: false }

it('carries bytes in both directions, and its ends', async () => {
  const [near, far] = ConnectionEnd.pair(peer)
  near.write('')
  near.end('there')
  expect(await textOf(far)).toBe('there')
  far.end('and back')
  expect(await textOf(near)).toBe('and back')
  expect([far.remoteAddress, far.remotePort, 'encrypted' in far]).toEqual(['192.0.2.1', 4711, false])
})

it('lets a writer wait for a reader that does not read', async () => {
  const [near, far] = ConnectionEnd.pair({ ...peer, isEncrypted: true })
  let written = 0
  const write = () => near.write(Buffer.alloc(65_536), () => void written++)
  for (let n = 0; n < 8; n++) write()
  await after(20)
  expect(written).toBeLessThan(8)
  far.resume()
  await expect.poll(() => written).toBe(8)
  expect('encrypted' in far).toBe(true)
})

it('an end that is destroyed takes the other one with it', async () => {
  const [near, far] = ConnectionEnd.pair(peer)
  near.write('half')
  far.destroy()
  await once(near, 'close')
  expect(near.readableEnded).toBe(false)
})

it('what was written before an end is still read, and the end waits for it', async () => {
  const [near, far] = ConnectionEnd.pair(peer)
  far.write('x'.repeat(100_000))
  far.destroySoon()
  await after(20)
  expect(far.destroyed).toBe(false)
  const [read] = await Promise.all([textOf(near), once(far, 'close')])
  expect(read.length).toBe(100_000)
})

it('says that it was silent, and not while bytes flow', async () => {
  const [near, far] = ConnectionEnd.pair(peer)
  far.resume()
  let silences = 0
  far.setTimeout(200).on('timeout', () => void silences++)
  for (let n = 0; n < 10; n++) {
    near.write('x')
    await after(40)
  }
  expect(silences).toBe(0)
  await expect.poll(() => silences).toBe(1)
  far.setTimeout(0)
  near.destroy()
})
