import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { ServiceError } from '@bailiwick/errors'

export interface ProcessLimits {
  /** ms, from the start of the process. */
  longestMs: number
  /** Of the heap. WebAssembly gets `mostWasmMegabytes` besides. */
  mostMegabytes: number
}

const mostWasmMegabytes = 128
const pageBytes = 65_536

export type Worked<Done> =
  | { done: Done }
  /** Refused by a ServiceError with this code and detail. */
  | { refused: string; code: string }
  /** The work threw this. */
  | { failed: string }
  | { ended: 'too late' | 'by itself' }

/**
 * Does the work of this file in a process of its own, which is killed after the answer or at the deadline. Not in a thread: V8 aborts the
 * whole process when a thread needs one large allocation too many, and a thread's limits do not count WebAssembly's memory.
 */
export async function inOwnProcess<Done>(
  file: URL,
  task: unknown,
  { longestMs, mostMegabytes }: ProcessLimits,
): Promise<Worked<Done>> {
  const { promise, resolve, reject } = Promise.withResolvers<Worked<Done>>()
  const child = fork(fileURLToPath(file), {
    env: {},
    serialization: 'advanced',
    // Its output is discarded, because it may quote policies and events.
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    execArgv: [
      `--max-old-space-size=${mostMegabytes}`,
      `--wasm-max-mem-pages=${(mostWasmMegabytes * 2 ** 20) / pageBytes}`,
    ],
  })
  child.unref()
  child.channel?.unref()
  const kill = () => void child.kill('SIGKILL')
  process.once('exit', kill)
  child.once('message', (worked) => resolve(worked as Worked<Done>))
  child.once('exit', () => resolve({ ended: 'by itself' }))
  child.on('error', (cause) => (child.pid === undefined ? reject(cause) : resolve({ ended: 'by itself' })))
  const late = setTimeout(() => resolve({ ended: 'too late' }), longestMs).unref()
  child.send(task as object, () => undefined)
  try {
    return await promise
  } finally {
    clearTimeout(late)
    process.off('exit', kill)
    kill()
  }
}

/** In the file that `inOwnProcess` runs: does the work, and refuses an answer with more than `mostCharacters` of JSON. */
export function workForParent<Task>(mostCharacters: number, work: (task: Task) => unknown): void {
  const tell = (worked: Worked<unknown>) => void process.send?.(worked)
  // The listener stays, so that this process lives until its parent has the answer and kills it.
  process.on('message', async (task) => {
    try {
      const done = await work(task as Task)
      if (JSON.stringify(done).length > mostCharacters)
        tell({ refused: 'the answer is too long', code: 'config_invalid' })
      else tell({ done })
    } catch (error) {
      if (error instanceof ServiceError && error.detail !== undefined)
        tell({ refused: error.detail.slice(0, mostOfAMessage), code: error.code })
      else tell({ failed: String(error instanceof Error ? error.stack : error).slice(0, mostOfAMessage) })
    }
  })
}

/** In characters. */
export const mostOfAMessage = 2000
