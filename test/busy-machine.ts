import { spawn } from 'node:child_process'
import { endWithThis } from '@bailiwick/native'

/** Keeps the machine busy with `loops` processes that never wait, until it is disposed: each adds one to the load. */
export function busyMachine(loops: number): Disposable {
  const children = Array.from({ length: loops }, () => {
    const child = spawn(process.execPath, ['--eval', 'for (;;);'], { stdio: 'ignore' })
    endWithThis(child)
    return child
  })
  return {
    [Symbol.dispose]() {
      for (const child of children) child.kill('SIGKILL')
    },
  }
}
