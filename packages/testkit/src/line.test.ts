import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { openLine } from './line.ts'
import { freePort } from './running-system.ts'

async function call(port: number): Promise<{ socket: Socket; heard(): string }> {
  const socket = connect(port, '127.0.0.1')
  let heard = ''
  socket.on('data', (bytes) => {
    heard += bytes
  })
  socket.on('error', () => undefined)
  await once(socket, 'connect')
  return { socket, heard: () => heard }
}

it('passes everything on; held, it ignores new callers; cut, it passes nothing but closes nothing; mended, it delivers what waited', async () => {
  await using echo = createServer((socket) => socket.on('error', () => undefined).pipe(socket)).listen(0, '127.0.0.1')
  await once(echo, 'listening')
  const from = await freePort()
  await using line = await openLine(from, (echo.address() as AddressInfo).port)
  const old = await call(from)
  old.socket.write('one ')
  await expect.poll(() => old.heard()).toBe('one ')

  line.hold()
  const held = await call(from)
  held.socket.write('held')
  old.socket.write('and ')
  await expect.poll(() => old.heard()).toBe('one and ')
  expect([held.heard(), held.socket.closed]).toEqual(['', false])

  line.cut()
  old.socket.write('two ')
  const young = await call(from)
  young.socket.write('three')
  await pause(200)
  expect([old.heard(), young.heard()]).toEqual(['one and ', ''])
  expect([old.socket.closed, young.socket.closed]).toEqual([false, false])

  line.mend()
  await expect.poll(() => [old.heard(), young.heard(), held.heard()]).toEqual(['one and two ', 'three', 'held'])
  // More than all buffers on the way can hold.
  const much = 'x'.repeat(8_000_000)
  young.socket.write(much)
  await expect.poll(() => young.heard().length, { timeout: 5000 }).toBe('three'.length + much.length)
  for (const { socket } of [old, young, held]) socket.destroy()
})
