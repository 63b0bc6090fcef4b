import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { run } from './programs.ts'

const root = join(import.meta.dirname, '../..')

/** What a page shows of one command: after `$`, and the lines up to the next. */
export interface ConsoleCommand {
  command: string
  output: string[]
  /** From a last line `(exit N)`; 0 where there is none. */
  code: number
}

/** A fenced block of a page that is marked `console`. */
export interface ConsoleBlock {
  page: string
  /** The page and the first command. */
  name: string
  commands: ConsoleCommand[]
}

/** The `console` blocks of a page. A line that begins with `$` is a command; after a `\` it goes on. */
export function consoleBlocks(page: string, text: string): ConsoleBlock[] {
  return [...text.matchAll(/^( *)```console\n([\s\S]*?)^ *```/gm)].map(([, indent = '', body = '']) => {
    const commands: ConsoleCommand[] = []
    let goesOn = false
    for (const line of body.split('\n').map((each) => each.slice(indent.length))) {
      const last = commands.at(-1)
      if (goesOn && last) last.command += `\n${line}`
      else if (line.startsWith('$ ')) commands.push({ command: line.slice(2), output: [], code: 0 })
      else if (/^\(exit \d+\)$/.test(line) && last) last.code = Number(line.slice(6, -1))
      else if (line.trim() !== '') last?.output.push(line)
      goesOn = line.endsWith('\\')
    }
    return { page, name: `${page}: ${commands[0]?.command.split('\n')[0]}`, commands }
  })
}

/** A line without what differs from run to run: times, ids, hashes, ports, numbers, and the width of columns. */
export function shapeOf(line: string): string {
  return line
    .replace(/\b\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME')
    .replace(/\b\d{4}-\d\d-\d\d\b/g, 'DATE')
    .replace(/\b(req|grt|dlg|crd|dec|out|evt|apr|rev|ins)_[\w-]+/g, '$1_ID')
    .replace(/\brcv-[0-9a-f]{20}\b/g, 'rcv-ID')
    .replace(/\bbailiwick-dev-\w+/g, 'bailiwick-dev-ID')
    .replace(/(?<![\w+/-])(?=[\w+/-]*[A-Z])(?=[\w+/-]*[0-9])[\w+/-]{20,}={0,2}/g, 'HASH')
    .replace(/\d+(\.\d+)?/g, 'N')
    .replace(/\s+/g, ' ')
    .trim()
}

/** Lines that depend on how an installation was made, and log lines: pages leave them out. */
const leftOut = /^(SINGLE OPERATOR|SOFTWARE APPROVER)\b|^\{"level":/

/** The first line of the page that the output lacks, or the first that the page lacks; `undefined` where they agree. */
export function misfit(page: readonly string[], output: readonly string[]): string | undefined {
  const counts = (line: string) => line.trim() !== '' && !leftOut.test(line.trim())
  const said = output.filter(counts)
  let at = 0
  let anyLines = false
  for (const wanted of page.filter(counts)) {
    if (wanted.trim() === '…') {
      anyLines = true
      continue
    }
    const found = said.findIndex((line, n) => n >= at && agrees(wanted, line))
    if (found < 0 || (found > at && !anyLines)) return `the page shows: ${wanted}`
    at = found + 1
    anyLines = false
  }
  return at < said.length && !anyLines ? `the output goes on: ${said[at]}` : undefined
}

/** `…` in a line of the page stands for any text. */
function agrees(wanted: string, line: string): boolean {
  const parts = shapeOf(wanted)
    .split('…')
    .map((part) => RegExp.escape(part))
  return new RegExp(`^${parts.join('.*')}$`).test(shapeOf(line))
}

/** A folder with `policies` and `examples`, in which `npx bailiwick` is this repository's, and `curl` is there on a bare Debian too. */
export class Terminal implements AsyncDisposable {
  readonly folder: string
  readonly #env: NodeJS.ProcessEnv
  readonly #running: ChildProcess[] = []

  constructor() {
    mkdirSync(join(root, 'out'), { recursive: true })
    this.folder = mkdtempSync(join(root, 'out/console-'))
    mkdirSync(this.at('bin'))
    const cli = join(root, 'packages/cli/src/main.ts')
    writeFileSync(
      this.at('bin/npx'),
      `#!/bin/sh\n[ "$1" = bailiwick ] || exit 127\nshift\nexec '${process.execPath}' '${cli}' "$@"\n`,
    )
    writeFileSync(
      this.at('bin/curl'),
      `#!/bin/sh\nexec '${process.execPath}' '${join(import.meta.dirname, 'curl.ts')}' "$@"\n`,
    )
    for (const name of ['npx', 'curl']) chmodSync(this.at('bin', name), 0o755)
    cpSync(join(root, 'policies'), this.at('policies'), { recursive: true })
    symlinkSync(join(root, 'examples'), this.at('examples'))
    const others = Object.entries(process.env).filter(([name]) => !name.startsWith('BAILIWICK_'))
    this.#env = { ...Object.fromEntries(others), PATH: `${this.at('bin')}:${process.env.PATH}` }
  }

  at(...path: string[]): string {
    return join(this.folder, ...path)
  }

  read(...path: string[]): string {
    return readFileSync(this.at(...path), 'utf8')
  }

  /** `.bailiwick` is this data directory from now on. */
  use(data: string): void {
    symlinkSync(data, this.at('.bailiwick'))
  }

  /** One folder under a second name. */
  link(name: string, second: string): void {
    symlinkSync(this.at(name), this.at(second))
  }

  /** Runs a command as a person would, and gives what a terminal shows. */
  async run(command: string): Promise<{ code: number; lines: string[] }> {
    const { code, out } = await run('sh', ['-c', `exec 2>&1\n${command}`], { cwd: this.folder, env: this.#env })
    return { code, lines: out.split('\n') }
  }

  /** Starts a command that goes on until the terminal is closed, and gives what it shows at any time. */
  start(command: string): () => string[] {
    const child = spawn('sh', ['-c', `exec 2>&1\nexec ${command}`], { cwd: this.folder, env: this.#env, stdio: 'pipe' })
    this.#running.push(child)
    let shown = ''
    child.stdout.on('data', (chunk) => (shown += String(chunk)))
    return () => shown.split('\n')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#running) {
      const ended = child.exitCode === null && child.signalCode === null ? once(child, 'close') : undefined
      child.kill('SIGTERM')
      await ended
    }
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** How a block is replayed. */
export interface Scenario {
  /** The block's name. */
  block: string
  /** What a reader has done before. */
  before?: (terminal: Terminal) => unknown
  /** The command with names of this run in place of the page's; `shown`: all lines of the block so far. */
  as?: (command: string, shown: readonly string[], n: number) => string
  /** Names of the page, in its commands and in what they show, each with the one that stands for it here. */
  names?: (terminal: Terminal) => Readonly<Record<string, string>>
  /** Done after the command with this number. */
  after?: (n: number, terminal: Terminal) => unknown
  /** The command with this number goes on until the terminal is closed. */
  staysOn?: number
  /** Only the lines above the one that begins so are compared: below, a terminal shows what a file does not. */
  upTo?: string
}

/** Replays a block; fails where the output is not what the page shows. */
export async function replay(terminal: Terminal, block: ConsoleBlock, scenario: Scenario): Promise<void> {
  const shown: string[] = []
  const names = Object.entries(scenario.names?.(terminal) ?? {})
  const here = (text: string) => names.reduce((said, [name, own]) => said.replaceAll(name, own), text)
  for (const [n, { command, output, code }] of block.commands.entries()) {
    const typed = here(scenario.as?.(command, shown, n) ?? command)
    const cut = output.findIndex((line) => scenario.upTo !== undefined && line.startsWith(scenario.upTo))
    const wanted = (cut < 0 ? output : [...output.slice(0, cut), '…']).map(here)
    if (n === scenario.staysOn) {
      const lines = terminal.start(typed)
      await expect.poll(() => misfit(wanted, lines()), { message: typed }).toBeUndefined()
      shown.push(...lines())
    } else {
      const ended = await terminal.run(typed)
      const said = `$ ${typed}\n${ended.lines.join('\n')}`
      expect(misfit(wanted, ended.lines), said).toBeUndefined()
      expect(ended.code, said).toBe(code)
      shown.push(...ended.lines)
    }
    await scenario.after?.(n, terminal)
  }
}
