import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, existsSync, lstatSync, mkdirSync, statSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { temporaryFolder } from '../io.fixture.ts'
import { bridgeScript, openOwnNetwork } from './own-network.ts'
import { makeRunFolder } from './run-folder.ts'

/** A server that has a port of this machine. */
async function listening() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { server, port: (server.address() as AddressInfo).port }
}

const bridged = (folder: string, script: string) => {
  const command = [process.execPath, '-e', script]
  return promisify(execFile)(process.execPath, ['-e', bridgeScript, folder, ...command]).catch(
    (error: { code: number; stdout: string }) => error,
  )
}

it('hands the connections of a program to the ports of its run, and ends with the exit code of the program', async () => {
  const network = openOwnNetwork(undefined)
  // The port is free again, as in a network of its own.
  const { server, port } = await listening()
  server.close()
  await once(server, 'close')
  await network.serve(port, (socket) => socket.on('data', (chunk) => socket.end(`got ${chunk}`)))
  expect(statSync(network.folder).mode & 0o777).toBe(0o700)
  const script = `
    const socket = require('node:net').connect(${port}, '127.0.0.1', () => socket.write('this'))
    socket.on('data', (chunk) => process.stdout.write(chunk)).on('close', () => process.exit(7))`
  expect(await bridged(network.folder, script)).toMatchObject({ code: 7, stdout: 'got this' })
  await network[Symbol.asyncDispose]()
  expect(existsSync(network.folder)).toBe(false)
})

it.skipIf(process.getuid?.() !== 0)(
  'gives the program’s user its sockets, and no folder that it could change (V11)',
  async () => {
    await using network = openOwnNetwork({ uid: 1, gid: 1 })
    await network.serve(4711, (socket) => socket.destroy())
    const shown = [network.folder, join(network.folder, '4711')].map((path) => {
      const { uid, mode } = lstatSync(path)
      return [uid, mode & 0o777]
    })
    expect(shown).toEqual([
      [0, 0o755],
      [1, 0o600],
    ])
  },
)

it.skipIf(process.getuid?.() !== 0)('makes no folder where another user could move it (V11)', () => {
  using folder = temporaryFolder()
  const before = process.env.TMPDIR
  try {
    process.env.TMPDIR = folder.path
    makeRunFolder('one-')
    chownSync(folder.path, 1, 1)
    expect(() => makeRunFolder('one-')).toThrow('TMPDIR')
    chownSync(folder.path, 0, 0)
    mkdirSync(folder.at('in'))
    chmodSync(folder.path, 0o777)
    process.env.TMPDIR = folder.at('in')
    expect(() => makeRunFolder('one-')).toThrow('TMPDIR')
    chmodSync(folder.path, 0o1777)
    makeRunFolder('one-')
  } finally {
    if (before === undefined) delete process.env.TMPDIR
    else process.env.TMPDIR = before
  }
})

it('starts no program if a port cannot be had', async () => {
  await using network = openOwnNetwork(undefined)
  const { server, port } = await listening()
  await network.serve(port, (socket) => socket.destroy())
  expect(await bridged(network.folder, 'console.log("started")')).toMatchObject({ code: 98, stdout: '' })
  server.close()
})
