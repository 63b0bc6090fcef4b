import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { paths } from '@bailiwick/installation'
import { sample, sampleAgentId, sampleKeyFile } from '@bailiwick/standalone/sample'
import { freePort, type RunningSystem } from '@bailiwick/testkit'
import { type Ended, judges, versionOf } from '../judges/programs.ts'
import { Place } from './place.ts'

const example = join(import.meta.dirname, '../../examples/mcp-servers/notes/server.mjs')
const filesystem = '@modelcontextprotocol/server-filesystem'

/**
 * A folder in which a team runs MCP servers: `notes.mjs` starts the package `notes-server`, as `npx` starts a package, so an update changes
 * the server without changing the command.
 */
export class McpPlace extends Place {
  /** The version of the reference server for files, if it is installed. */
  readonly filesystem = versionOf(filesystem)

  private constructor(system: RunningSystem, port: number) {
    super('mcp', system, port)
    mkdirSync(this.#package, { recursive: true })
    writeFileSync(join(this.#package, 'package.json'), '{ "name": "notes-server", "main": "server.mjs" }\n')
    cpSync(example, join(this.#package, 'server.mjs'))
    writeFileSync(this.at('notes.mjs'), "import 'notes-server'\n")
    mkdirSync(this.at('reports'))
    writeFileSync(this.at('reports/q3.txt'), 'Revenue grew by 4 percent.\n')
    writeFileSync(this.at('reports/salaries.txt'), 'Nothing for a model.\n')
  }

  static async open(system: RunningSystem): Promise<McpPlace> {
    return new McpPlace(system, await freePort())
  }

  get #package(): string {
    return this.at('node_modules/notes-server')
  }

  add(name: string, command: readonly string[]): Promise<Ended> {
    return this.bailiwick('gateway', 'add', 'mcp', name, '--wait', '--public-url', this.url, '--', ...command)
  }

  /** The command of the reference server, which may read one folder. */
  filesystemCommand(): string[] {
    return ['node', judges.filesystem(), this.at('reports')]
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
}
