import { spawn } from 'node:child_process'
import { endWithThis } from '@bailiwick/native'

export interface Running extends AsyncDisposable {
  /** Its output so far. */
  readonly output: string
  /** Resolves once its output holds this text. Rejects if it ends before that. */
  says(text: string): Promise<void>
}

/** Starts a script with this process's Node.js, in the folder `cwd`. It ends with the test. */
export function startScript(
  script: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
  cwd: string = process.cwd(),
): Running {
  const child = spawn(process.execPath, [script, ...args], {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  endWithThis(child)
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += String(chunk)))
  return {
    get output() {
      return output
    },
    says: (text) =>
      new Promise((resolve, reject) => {
        const look = () => {
          if (output.includes(text)) resolve()
        }
        for (const stream of [child.stdout, child.stderr]) stream.on('data', look)
        void ended.then(() => reject(new Error(`${script} ended without saying ${text}: ${output}`)))
        look()
      }),
    async [Symbol.asyncDispose]() {
      child.kill()
      await ended
    },
  }
}
