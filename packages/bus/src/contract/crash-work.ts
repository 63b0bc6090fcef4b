import { Buffer } from 'node:buffer'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Bus } from '../bus.ts'

/** What the contract has a process do that it then kills. */
export type CrashWork =
  /** Publishes each text alone, all at once; reports the position of each once it is acknowledged. */
  | { does: 'publish'; topic: string; texts: readonly string[] }
  /** Consumes; reports each text that it gets, and never answers. */
  | { does: 'consume'; topic: string; group: string }

/** The child's half: does it, and reports. Resolves when there is nothing more to do; the process must then stay. */
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
 * The parent's half: runs `script` with these arguments, sends it SIGKILL the moment it has reported `lines` lines, and
 * gives all that it reported, each line parsed as JSON. Rejects when it ends by itself or takes more than `deadlineMs`.
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
  // What was in the pipe before the kill still arrives: it was reported too.
  for await (const line of createInterface({ input: child.stdout })) {
    reported.push(JSON.parse(line))
    if (reported.length >= lines) child.kill('SIGKILL')
  }
  await gone
  clearTimeout(late)
  if (reported.length < lines) throw new Error(`the child ended after ${reported.length} of ${lines} lines`)
  return reported
}
