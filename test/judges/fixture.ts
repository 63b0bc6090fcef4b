import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { endWithThis } from '@bailiwick/native'

/** The fixture server in a process of its own. Its Host check accepts each port of this machine. */
export async function startFixture(): Promise<{ url: string } & AsyncDisposable> {
  const child: ChildProcess = spawn(process.execPath, [join(import.meta.dirname, 'fixture-server.mjs')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  endWithThis(child)
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const url = await new Promise<string>((resolve, reject) => {
    if (child.stdout) createInterface(child.stdout).once('line', resolve)
    child.once('exit', (code) => reject(new Error(`the fixture server ended with ${code}`)))
  })
  return {
    url,
    async [Symbol.asyncDispose]() {
      child.kill()
      await exited
    },
  }
}
