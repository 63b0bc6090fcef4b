import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { cli } from '../judges/installation.ts'
import { type Ended, runScript } from '../judges/programs.ts'
import { type Running, startScript } from '../judges/running.ts'

/** Over the variables of this process: no setting of Bailiwick, and this Node.js as `node`. */
const shell: NodeJS.ProcessEnv = {
  ...Object.fromEntries(
    Object.keys(process.env)
      .filter((name) => name.startsWith('BAILIWICK_'))
      .map((name) => [name, undefined]),
  ),
  PATH: `${dirname(process.execPath)}:${process.env.PATH}`,
}

/** A folder with `gateway.yaml`, in which an operator types commands. */
export class Place implements Disposable {
  readonly folder: string
  /** The address of the gateway. */
  readonly url: string
  /** Of the installation. */
  readonly data: string
  readonly #port: number

  /** `port`: the gateway's. */
  constructor(name: string, { data }: { data: string }, port: number) {
    this.folder = mkdtempSync(join(tmpdir(), `bailiwick-${name}-`))
    this.data = resolve(data)
    this.#port = port
    this.url = `http://localhost:${port}`
  }

  get #env(): NodeJS.ProcessEnv {
    return { ...shell, BAILIWICK_DATA: this.data }
  }

  at(name: string): string {
    return join(this.folder, name)
  }

  /** A command, as a person types it in this folder after `npx bailiwick`. It finds the installation. */
  bailiwick(...words: string[]): Promise<Ended> {
    return runScript(cli, words, { cwd: this.folder, env: this.#env })
  }

  /** `bailiwick serve gateway --config gateway.yaml`, once it is ready. */
  async serve(): Promise<Running> {
    const words = ['serve', 'gateway', '--config', 'gateway.yaml', '--port', String(this.#port)]
    const running = startScript(cli, words, { ...this.#env, BAILIWICK_PUBLIC_URL: this.url }, this.folder)
    await running.says('"ready"')
    return running
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true })
  }
}
