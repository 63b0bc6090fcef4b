import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { ServiceError } from '@bailiwick/errors'
import { nodeArguments } from '@bailiwick/host'
import type { Io } from '../io.ts'

/** The gateway reads at most 4 MiB from a server, and its answer repeats them a few times. */
const largestAnswer = 64 * 1024 * 1024
const largestComplaint = 16 * 1024

/**
 * Runs a program of this repository with `input`, and resolves with its output and exit code. The program cannot write to the terminal,
 * because a server's own words may be in its output. Throws `config_invalid` if it cannot be started, and `answer_malformed` if it writes
 * too much.
 */
export async function runChild(
  main: string,
  { args = [], input = '', env }: { args?: readonly string[]; input?: string; env: Io['env'] },
): Promise<{ out: string; err: string; code: number }> {
  const child = spawn(process.execPath, [...nodeArguments(env), main, ...args], { stdio: 'pipe', env: { ...env } })
  const ended = once(child, 'close') as Promise<[number | null]>
  const out = textOf(child.stdout, largestAnswer)
  const err = textOf(child.stderr, largestComplaint)
  child.stdin.on('error', () => undefined)
  child.stdin.end(input)
  try {
    const [[code], text, complaint] = await Promise.all([ended, out, err])
    return { out: text, err: complaint, code: code ?? 2 }
  } catch (cause) {
    child.kill('SIGKILL')
    if (cause instanceof ServiceError) throw cause
    throw new ServiceError('config_invalid', `${main} could not be started`, { cause })
  }
}

async function textOf(stream: AsyncIterable<Uint8Array>, most: number): Promise<string> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of stream) {
    length += chunk.length
    if (length > most) throw new ServiceError('answer_malformed', 'the answer is too large')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}
