import { spawn } from 'node:child_process'
import { withResolvers } from '@bailiwick/kit'

const withinMs = 10_000
const longest = 65_536

/**
 * Runs a program and returns its output, without the last line end. There is no shell: the text is split at spaces. The program gets only a
 * usual PATH and no input, and its errors are dropped. It is killed, with everything that it started, if it takes too long or writes too
 * much.
 */
export async function runForSecret(text: string): Promise<string> {
  const [command = '', ...args] = text.split(/ +/).filter((part) => part !== '')
  const env = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' }
  const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'ignore'], detached: true })
  const { promise, resolve, reject } = withResolvers<string>()
  const kill = () => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
    } catch {
      // It has ended already.
    }
  }
  const timer = setTimeout(kill, withinMs)
  const chunks: Buffer[] = []
  let length = 0
  child.stdout.on('data', (chunk: Buffer) => {
    length += chunk.length
    if (length > longest) kill()
    else chunks.push(chunk)
  })
  child.on('error', reject)
  child.on('close', (code) => {
    const output = Buffer.concat(chunks).toString()
    if (code === 0 && length <= longest) resolve(output.replace(/\r?\n$/, ''))
    else reject(new Error('the program failed'))
  })
  return promise.finally(() => clearTimeout(timer))
}
