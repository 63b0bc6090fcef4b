import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, statSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { bridgeScript, openOwnNetwork } from './own-network.ts'

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

it('starts no program if a port cannot be had', async () => {
  await using network = openOwnNetwork(undefined)
  const { server, port } = await listening()
  await network.serve(port, (socket) => socket.destroy())
  expect(await bridged(network.folder, 'console.log("started")')).toMatchObject({ code: 98, stdout: '' })
  server.close()
})
