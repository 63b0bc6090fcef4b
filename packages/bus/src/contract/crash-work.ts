import { Buffer } from 'node:buffer'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Bus } from '../bus.ts'

/** The work of a process that the contract then kills. */
export type CrashWork =
  /** Publishes each text alone, all at once; reports the position of each once it is acknowledged. */
  | { does: 'publish'; topic: string; texts: readonly string[] }
  /** Consumes. Reports each text that it gets, and never answers. */
  | { does: 'consume'; topic: string; group: string }

/** The child's half: does the work and reports. Resolves when there is nothing more to do; the process must then stay alive. */
export async function doCrashWork(bus: Bus, work: CrashWork, report: (line: unknown) => void): Promise<void> {
  if (work.does === 'publish') {
    const events = work.texts.map((text) => ({ key: text, bytes: Buffer.from(text) }))
    await Promise.all(events.map((event) => bus.publish(work.topic, [event]).then(([position]) => report(position))))
  } else {
    await bus.consume([work.topic], work.group, (batch) => {
      for (const { bytes } of batch) report(Buffer.from(bytes).toString())
      return new Promise(() => {})
    })
  }
}

/**
 * The parent's half: runs `script` with these arguments, sends it SIGKILL as soon as it has reported `lines` lines, and
 * returns everything that it reported, each line parsed as JSON. Rejects if it ends by itself or takes more than `deadlineMs`.
 */
export async function killAfterLines(
  script: URL,
  args: readonly string[],
  lines: number,
  deadlineMs = 60_000,
): Promise<unknown[]> {
  const child = spawn(process.execPath, [script.pathname, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  const gone = once(child, 'exit')
  const reported: unknown[] = []
  const late = setTimeout(() => child.kill('SIGKILL'), deadlineMs)
  // Lines that were in the pipe before the kill still arrive, and count as reported.
  for await (const line of createInterface({ input: child.stdout })) {
    reported.push(JSON.parse(line))
    if (reported.length >= lines) child.kill('SIGKILL')
  }
  await gone
  clearTimeout(late)
  if (reported.length < lines) throw new Error(`the child ended after ${reported.length} of ${lines} lines`)
  return reported
}
