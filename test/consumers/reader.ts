import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const root = join(import.meta.dirname, '../..')

/** What a page has its reader do: save a file, change lines of one, or type commands. */
export type Step =
  | { kind: 'save'; file: string; text: string }
  | { kind: 'change'; file: string; lines: readonly string[] }
  | { kind: 'type'; commands: string; goesOn: boolean; shows: readonly string[] }

/**
 * The steps of a page, in its order: every fenced block is one. The sentence before a block says what to do with it: "Save this as `NAME`", or "In
 * `NAME`, replace these lines". Commands are typed, and what they show stands behind the block: "It prints `TEXT`". "Wait for `TEXT`" and
 * "leave it running" say that they go on. Throws for a block that a reader would not know what to do with.
 */
export function stepsOf(page: string): Step[] {
  const fences = [...page.matchAll(/^```(\w*)(?: (\S+))?\n([\s\S]*?)^```/gm)]
  return fences.map(([whole, language = '', name, text = ''], n): Step => {
    const at = fences[n]?.index ?? 0
    const before = page.slice((fences[n - 1]?.index ?? 0) + (fences[n - 1]?.[0].length ?? 0), at)
    const after = page.slice(at + whole.length, fences[n + 1]?.index)
    const said = before.split(/\n\n/).findLast((each) => each.trim() !== '') ?? ''
    const [, file = name] = /Save this as `([^`]+)`/.exec(said) ?? []
    if (file !== undefined) return { kind: 'save', file, text }
    const [, changed] = /In `([^`]+)`, replace these lines/.exec(said) ?? []
    if (changed !== undefined) return { kind: 'change', file: changed, lines: text.trimEnd().split('\n') }
    if (language !== 'sh') throw new Error(`a reader does not know what to do with:\n${whole}`)
    // Only what stands before the next heading is said of these commands.
    const [about = ''] = after.split(/^#/m)
    const waits = [...about.matchAll(/Wait for `([^`]+)`/g)].map(([, each = '']) => each)
    const prints = [...about.matchAll(/It prints `([^`]+)`/g)].map(([, each = '']) => each)
    const goesOn = waits.length > 0 || /leave it running/i.test(about)
    return { kind: 'type', commands: text, goesOn, shows: [...waits, ...prints] }
  })
}

/**
 * Has the same content as a clone of this repository in which `npm ci` was run, and nothing of its environment that is Bailiwick's. `fresh`: a
 * real clone of what is committed, outside the repository, in which nothing was run yet, with the Node.js and npm of the machine, and with
 * empty caches of npm and pip.
 */
export class Reader implements AsyncDisposable {
  readonly folder: string
  /** What each block of commands took, in ms. */
  readonly times: { commands: string; ms: number }[] = []
  readonly env: NodeJS.ProcessEnv
  readonly #running: ChildProcess[] = []
  /** What the last commands that ended have shown. */
  #shown = ''

  constructor(env: NodeJS.ProcessEnv = {}, { fresh = false } = {}) {
    const others = Object.entries(process.env).filter(([name]) => !name.startsWith('BAILIWICK_'))
    this.env = { ...Object.fromEntries(others), ...env }
    const paths = (process.env.PATH ?? '').split(':')
    if (fresh) {
      this.folder = mkdtempSync(join(tmpdir(), 'clone-'))
      execFileSync('git', ['clone', '--quiet', root, this.folder])
      const ofThisRun = /^(npm_(?!config_cafile)|NODE_(?!EXTRA_CA)|VITEST|TURBO|INIT_CWD)/
      for (const name of Object.keys(this.env)) if (ofThisRun.test(name)) delete this.env[name]
      const cache = this.at('.cache')
      Object.assign(this.env, { npm_config_cache: join(cache, 'npm'), PIP_CACHE_DIR: join(cache, 'pip') })
      Object.assign(this.env, {
        npm_config_prefix: this.at('.global'),
        npm_config_userconfig: join(homedir(), '.npmrc'),
      })
      paths.splice(0, paths.length, this.at('.global/bin'), ...paths.filter((path) => !path.startsWith(root)))
    } else {
      mkdirSync(join(root, 'out'), { recursive: true })
      this.folder = mkdtempSync(join(root, 'out/clone-'))
      for (const name of readdirSync(root))
        if (!['.git', 'out', '.bailiwick'].includes(name)) symlinkSync(join(root, name), this.at(name))
    }
    this.program('curl', `exec '${process.execPath}' '${join(import.meta.dirname, 'curl.ts')}' "$@"`)
    this.env.PATH = [this.at('programs'), ...paths].join(':')
  }

  /** How long the commands took, in s, up to the last ones that hold this text: all of them, and those that install. */
  took(until: string): { all: number; installing: number } {
    const last = this.times.findLastIndex(({ commands }) => commands.includes(until))
    if (last === -1) throw new Error(`no commands hold ${until}`)
    const sum = (times: readonly { ms: number }[]) => Math.round(times.reduce((all, { ms }) => all + ms, 0) / 1000)
    const all = this.times.slice(0, last + 1)
    return { all: sum(all), installing: sum(all.filter(({ commands }) => /npm ci|\binstall\b/.test(commands))) }
  }

  at(...path: string[]): string {
    return join(this.folder, ...path)
  }

  /** A program that the reader has installed: a script for sh. */
  program(name: string, script: string): void {
    mkdirSync(this.at('programs'), { recursive: true })
    writeFileSync(this.at('programs', name), `#!/bin/sh\n${script}\n`)
    chmodSync(this.at('programs', name), 0o755)
  }

  /**
   * Does what these steps say. `as` puts names of this run in place of the page's, or gives undefined for commands whose work is done already;
   * `shown` is what the last commands have shown. A reader whose command did not show what the page says tries again for a while: on a busy
   * machine a server is not there yet, or a decision is too late.
   */
  async follow(steps: readonly Step[], as: (commands: string, shown: string) => string | undefined): Promise<void> {
    for (const step of steps) {
      if (step.kind === 'save') writeFileSync(this.at(step.file), step.text)
      else if (step.kind === 'change') this.#change(step)
      else {
        const commands = as(step.commands, this.#shown)
        const began = performance.now()
        if (commands !== undefined)
          await (step.goesOn ? this.#start(commands, step.shows) : this.#run(commands, step.shows))
        this.times.push({ commands: step.commands.trim(), ms: Math.round(performance.now() - began) })
      }
    }
  }

  /** Each line replaces the one that begins with the same words, up to the first space after them. */
  #change({ file, lines }: Extract<Step, { kind: 'change' }>): void {
    let text = readFileSync(this.at(file), 'utf8')
    for (const line of lines) {
      const [start = ''] = /^\s*\S+ /.exec(line) ?? []
      const found = text.split('\n').filter((each) => each.startsWith(start))
      if (start === '' || found.length !== 1)
        throw new Error(`${file} has ${found.length} lines that begin with ${start}`)
      text = text.replace(found[0] ?? '', () => line)
    }
    writeFileSync(this.at(file), text)
  }

  async #run(commands: string, shows: readonly string[]): Promise<void> {
    for (const end = Date.now() + 90_000; ; await sleep(500)) {
      const child = this.#spawn(commands)
      let shown = ''
      for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => (shown += String(chunk)))
      const [code] = await once(child, 'close')
      this.#shown = shown
      if (code === 0 && shows.every((each) => shown.includes(each))) return
      if (shows.length === 0 || Date.now() > end) throw new Error(`exit ${code}\n${commands}\n${shown}`)
    }
  }

  async #start(commands: string, shows: readonly string[]): Promise<void> {
    const child = this.#spawn(commands, true)
    this.#running.push(child)
    let shown = ''
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => (shown += String(chunk)))
    for (const end = Date.now() + 120_000; !shows.every((each) => shown.includes(each)); await sleep(20))
      if (child.exitCode !== null || Date.now() > end) throw new Error(`${commands}\n${shown}`)
  }

  /** What goes on is a group of processes, which ends as after Ctrl-C in its terminal. */
  #spawn(commands: string, group = false): ChildProcess {
    return spawn('sh', ['-e', '-c', commands], {
      cwd: this.folder,
      env: this.env,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: group,
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#running.toReversed()) {
      const ended = child.exitCode === null && child.signalCode === null ? once(child, 'close') : undefined
      if (ended !== undefined && child.pid !== undefined) process.kill(-child.pid, 'SIGTERM')
      await ended
    }
    rmSync(this.folder, { recursive: true, force: true })
  }
}
