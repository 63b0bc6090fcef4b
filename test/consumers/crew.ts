import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { InitialEntities } from '@bailiwick/installation'
import { freePort } from '@bailiwick/testkit'
import { readYaml } from '../infra/compose-file.ts'
import { Program, pythonWithPackages } from './programs.ts'

const root = join(import.meta.dirname, '../..')
const page = readFileSync(join(root, 'examples/research-crew/README.md'), 'utf8')

export const price = 0.2

export const isNamedOnThePage = (ended: string): boolean => page.includes(`\`${ended}\``)

/** The commands of the page's block of this name. */
function commandOf(name: string): string {
  const found = new RegExp(`^\`\`\`sh ${name}\\n([\\s\\S]*?)^\`\`\``, 'm').exec(page)?.[1]
  if (found === undefined) throw new Error(`the page has no commands ${name}`)
  return found
}

/** Reads the last lines of a crew: how often each scout searched, why it stopped, and the sum. */
export function told(output: string) {
  const reports = [...output.matchAll(/^(scout-\d) searched (\d+) times, then: (\w+)$/gm)]
  return {
    grant: /^(grt_\S+): EUR/m.exec(output)?.[1] ?? '',
    searches: reports.map(([, , count]) => Number(count)),
    endings: reports.map(([, , , ended = '']) => ended),
    spent: Number(/^spent EUR (\S+) of/m.exec(output)?.[1]),
  }
}

/** examples/research-crew in a folder of its own, by the commands of its page. */
export class Crew implements Disposable {
  readonly folder: string
  readonly #names: { library: string; python: string; port: number }

  private constructor(folder: string, names: { library: string; python: string; port: number }) {
    this.folder = folder
    this.#names = names
  }

  /** Its keys and its registry are made; nothing runs yet. */
  static async setUp(): Promise<Crew> {
    mkdirSync(join(root, 'out'), { recursive: true })
    const python = await pythonWithPackages(join(root, 'clients/python'))
    const library = `http://localhost:${await freePort()}`
    const crew = new Crew(mkdtempSync(join(root, 'out/crew-')), { library, python, port: await freePort() })
    await using made = crew.run('set-up')
    await made.ended
    if (!existsSync(crew.at('registry.yaml')) || !readFileSync(crew.at('registry.yaml'), 'utf8').includes('scout-5'))
      throw new Error(made.output)
    return crew
  }

  at(name: string): string {
    return join(this.folder, 'crew', name)
  }

  /** The page's commands of this name, with this crew's folder, ports and Python, and these names in place of the page's. */
  run(name: string, env: NodeJS.ProcessEnv = {}, names: Record<string, string> = {}): Program {
    return new Program('bash', ['-ec', this.#command(name, names)], {
      env: {
        ...process.env,
        CREW: join(this.folder, 'crew'),
        LIBRARY: this.#names.library,
        PYTHONPATH: join(root, 'clients/python/src'),
        PYTHONDONTWRITEBYTECODE: '1',
        ...env,
      },
      group: true,
    })
  }

  #command(name: string, names: Record<string, string>): string {
    const { library, python, port } = this.#names
    const here = commandOf(name)
      .replaceAll('crew-python/bin/python', python)
      .replaceAll(/(?<![-/\w])crew\//g, `${this.folder}/crew/`)
    const text = Object.entries(names).reduce((all, [from, to]) => all.replaceAll(from, to), here)
    return name === 'set-up'
      ? `${text.trim().replace(/ crew$/, ` ${this.folder}/crew`)} ${library}`
      : text.replace('bailiwick dev', `bailiwick dev --port ${port}`)
  }

  /** How many searches the library has served; undefined while it does not answer. */
  served(): Promise<number | undefined> {
    return fetch(`${this.#names.library}/served`).then(
      async (answer) => ((await answer.json()) as { served: number }).served,
      () => undefined,
    )
  }

  /** The entities of its registry, for an installation that a test starts. */
  entities(): InitialEntities {
    const { agents, enforcement_points, tool_servers, rules } = readYaml<Record<string, unknown[]>>(
      this.at('registry.yaml').slice(root.length + 1),
    )
    const of = (type: string, values: unknown[] = []) => values.map((value) => ({ type, value }))
    return [
      ...of('agent', agents),
      ...of('enforcement-point', enforcement_points),
      ...of('tool-server', tool_servers),
      ...of('rule', rules),
    ] as InitialEntities
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true })
  }
}
