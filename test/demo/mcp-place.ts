import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { paths } from '@bailiwick/installation'
import { sample, sampleAgentId, sampleKeyFile } from '@bailiwick/standalone/sample'
import { freePort, type RunningSystem } from '@bailiwick/testkit'
import { cli } from '../judges/installation.ts'
import { type Ended, judges, runScript, versionOf } from '../judges/programs.ts'
import { type Running, startScript } from '../judges/running.ts'

const example = join(import.meta.dirname, '../../examples/mcp-servers/notes/server.mjs')
const filesystem = '@modelcontextprotocol/server-filesystem'

/** Over the variables of this process: no setting of Bailiwick, and this Node.js as `node`. */
const shell: NodeJS.ProcessEnv = {
  ...Object.fromEntries(
    Object.keys(process.env)
      .filter((name) => name.startsWith('BAILIWICK_'))
      .map((name) => [name, undefined]),
  ),
  PATH: `${dirname(process.execPath)}:${process.env.PATH}`,
}

/**
 * A folder in which a team runs MCP servers: `notes.mjs` starts the package `notes-server`, as `npx` starts a package, so an update changes
 * the server without changing the command.
 */
export class McpPlace implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'bailiwick-mcp-'))
  readonly url: string
  /** The version of the reference server for files, if it is installed. */
  readonly filesystem = versionOf(filesystem)
  /** Of the installation. */
  readonly data: string
  readonly #port: number

  private constructor(data: string, port: number) {
    this.data = resolve(data)
    this.#port = port
    this.url = `http://localhost:${port}`
    mkdirSync(this.#package, { recursive: true })
    writeFileSync(join(this.#package, 'package.json'), '{ "name": "notes-server", "main": "server.mjs" }\n')
    cpSync(example, join(this.#package, 'server.mjs'))
    writeFileSync(this.at('notes.mjs'), "import 'notes-server'\n")
    mkdirSync(this.at('reports'))
    writeFileSync(this.at('reports/q3.txt'), 'Revenue grew by 4 percent.\n')
    writeFileSync(this.at('reports/salaries.txt'), 'Nothing for a model.\n')
  }

  static async open({ data }: RunningSystem): Promise<McpPlace> {
    return new McpPlace(data, await freePort())
  }

  get #env(): NodeJS.ProcessEnv {
    return { ...shell, BAILIWICK_DATA: this.data }
  }

  get #package(): string {
    return this.at('node_modules/notes-server')
  }

  at(name: string): string {
    return join(this.folder, name)
  }

  /** A command, as a person types it in this folder after `npx bailiwick`. It finds the installation. */
  bailiwick(...words: string[]): Promise<Ended> {
    return runScript(cli, words, { cwd: this.folder, env: this.#env })
  }

  add(name: string, command: readonly string[]): Promise<Ended> {
    return this.bailiwick('gateway', 'add', 'mcp', name, '--wait', '--public-url', this.url, '--', ...command)
  }

  /** The command of the reference server, which may read one folder. */
  filesystemCommand(): string[] {
    return ['node', judges.filesystem(), this.at('reports')]
  }

  /** `bailiwick serve gateway --config gateway.yaml`, once it is ready. */
  async serve(): Promise<Running> {
    const words = ['serve', 'gateway', '--config', 'gateway.yaml', '--port', String(this.#port)]
    const running = startScript(cli, words, { ...this.#env, BAILIWICK_PUBLIC_URL: this.url }, this.folder)
    await running.says('"ready"')
    return running
  }

  /** The words after `bailiwick` that serve a server of tools to a client of MCP. */
  sidecar(server: string, ...more: string[]): string[] {
    const data = this.data
    return [
      ...['agent', 'mcp', '--gateway', this.url, '--server', server, '--trust', paths(data).trust],
      ...['--agent', `${sampleAgentId('reconciler')}/${sample.instance}`, '--key', sampleKeyFile(data, 'reconciler')],
      ...more,
    ]
  }

  /** An update of the package in which one tool says something else. */
  update(before: string, after: string): void {
    const file = join(this.#package, 'server.mjs')
    writeFileSync(file, readFileSync(file, 'utf8').replace(before, after))
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true })
  }
}
