import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { withResolvers } from '@bailiwick/kit'

/** A page of a browser without a window. Method and event names are those of the Chrome DevTools Protocol. */
export interface BrowserPage extends AsyncDisposable {
  send(method: string, params?: object): Promise<Record<string, never>>
  on(event: string, heard: (params: never) => void): void
}

const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']

/** The first Chromium in the folders of `path`. */
export function findChromium(path: string): string | undefined {
  const all = path.split(delimiter).flatMap((folder) => names.map((name) => join(folder, name)))
  return all.find((file) => {
    try {
      accessSync(file, constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

const flags = [
  ...['--headless=new', '--remote-debugging-pipe', '--no-first-run', '--no-default-browser-check', '--disable-gpu'],
  ...['--disable-extensions', '--disable-background-networking', '--disable-sync', '--disable-component-update'],
  '--password-store=basic',
]

/**
 * Starts a browser with a profile of its own, which goes with it, and opens an empty page. It is driven through a pipe, so no other program can
 * reach it. The sandbox of Chromium does not work for root.
 */
export async function openBrowserPage(program: string, isRoot: boolean): Promise<BrowserPage> {
  await using opening = new AsyncDisposableStack()
  const profile = mkdtempSync(join(tmpdir(), 'bailiwick-browser-'))
  opening.defer(() => rmSync(profile, { recursive: true, force: true, maxRetries: 5 }))
  const args = [...flags, ...(isRoot ? ['--no-sandbox'] : []), `--user-data-dir=${profile}`, 'about:blank']
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'], detached: true })
  const ended = once(child, 'close').catch(() => undefined)
  opening.defer(async () => {
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGKILL')
    await ended
  })
  const wire = new Wire(child.stdio[3] as Writable, child.stdio[4] as Readable)
  void ended.then(() => wire.end())
  const { targetInfos } = (await wire.send('Target.getTargets')) as {
    targetInfos: { targetId: string; type: string }[]
  }
  const targetId = targetInfos.find(({ type }) => type === 'page')?.targetId
  const attached = await wire.send('Target.attachToTarget', { targetId, flatten: true })
  const { sessionId } = attached as { sessionId: string }
  const owned = opening.move()
  return {
    send: (method, params) => wire.send(method, params, sessionId) as Promise<Record<string, never>>,
    on: (event, heard) => wire.on(event, heard as (params: unknown) => void),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

interface Message {
  id?: number
  method?: string
  params?: unknown
  result?: unknown
  error?: { message: string }
}

/** Messages in JSON with a zero byte behind each. */
class Wire {
  readonly #out: Writable
  readonly #answers = new Map<number, { resolve: (result: unknown) => void; reject: (error: Error) => void }>()
  readonly #heard = new Map<string, (params: unknown) => void>()
  #lastId = 0
  #isOver = false

  constructor(out: Writable, from: Readable) {
    this.#out = out.on('error', () => undefined)
    let held = ''
    from.setEncoding('utf8').on('data', (chunk: string) => {
      const parts = (held + chunk).split('\0')
      held = parts.pop() ?? ''
      for (const part of parts) this.#take(JSON.parse(part))
    })
  }

  send(method: string, params: object = {}, sessionId?: string): Promise<unknown> {
    if (this.#isOver) return Promise.reject(new Error('the browser has ended'))
    const id = ++this.#lastId
    const { promise, resolve, reject } = withResolvers<unknown>()
    this.#answers.set(id, { resolve, reject })
    this.#out.write(`${JSON.stringify({ id, method, params, sessionId })}\0`)
    return promise
  }

  on(event: string, heard: (params: unknown) => void): void {
    this.#heard.set(event, heard)
  }

  end(): void {
    this.#isOver = true
    for (const { reject } of this.#answers.values()) reject(new Error('the browser has ended'))
    this.#answers.clear()
  }

  #take({ id, method, params, result, error }: Message): void {
    if (id === undefined) return void this.#heard.get(method ?? '')?.(params)
    const answer = this.#answers.get(id)
    this.#answers.delete(id)
    if (error === undefined) answer?.resolve(result)
    else answer?.reject(new Error(error.message))
  }
}
