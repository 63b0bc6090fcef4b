import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { promisify } from 'node:util'
import { readCompose, repository } from '../infra/compose-file.ts'

const run = promisify(execFile)
const project = 'bailiwick'

export interface State {
  running: boolean
  /** Absent where the image has no check of its own. */
  health: string | undefined
  exitCode: number
  restarts: number
  pid: number
}

/** What runs for long, by name. */
export const services = Object.entries(readCompose().services).flatMap(([name, { healthcheck, profiles }]) =>
  healthcheck?.disable || profiles ? [] : [name],
)

/** docker-compose.yml, run by Debian's Compose 1.29. That takes the file as it is, except its `name:`. */
export class ComposeProject {
  readonly #env: NodeJS.ProcessEnv
  readonly #file: string

  constructor(host: string) {
    this.#env = { ...process.env, DOCKER_HOST: host, DOCKER_BUILDKIT: '0', COMPOSE_DOCKER_CLI_BUILD: '0' }
    this.#file = join(mkdtempSync(join(tmpdir(), 'compose-')), 'docker-compose.yml')
    const text = readFileSync(join(repository, 'docker-compose.yml'), 'utf8')
    writeFileSync(this.#file, text.replace(/^name: .*$/m, ''))
  }

  async compose(args: readonly string[], input?: string): Promise<string> {
    const first = ['-p', project, '--project-directory', repository, '-f', this.#file]
    return this.#run('docker-compose', [...first, ...args], input)
  }

  async docker(...args: string[]): Promise<string> {
    return this.#run('docker', args)
  }

  /** On a machine that others keep busy, Kafka may be healthy later than Compose waits for it: then once more. */
  async up(): Promise<void> {
    for (let tries = 1; ; tries++) {
      try {
        await this.compose(['up', '--build', '-d'])
        return
      } catch (error) {
        if (tries === 3) throw error
        console.warn(`containers: up, again: ${(error as { stderr?: string }).stderr?.trim().split('\n').at(-1)}`)
      }
    }
  }

  /** With its data. */
  async down(): Promise<void> {
    await this.compose(['down', '--volumes', '--remove-orphans'])
  }

  async state(service: string): Promise<State | undefined> {
    const labels = [`label=com.docker.compose.project=${project}`, `label=com.docker.compose.service=${service}`]
    const id = (await this.docker('ps', '-aq', ...labels.flatMap((label) => ['-f', label]))).split('\n')[0]
    if (!id) return undefined
    const [found] = JSON.parse(await this.docker('inspect', id)) as Inspected[]
    return (
      found && {
        running: found.State.Running,
        health: found.State.Health?.Status,
        exitCode: found.State.ExitCode,
        restarts: found.RestartCount,
        pid: found.State.Pid,
      }
    )
  }

  /** Resolves once the service runs, and its check says that it is healthy. Rejects with its last words. */
  async healthy(service: string, more: (state: State) => boolean = () => true): Promise<void> {
    for (const asked = AbortSignal.timeout(300_000); !asked.aborted; await pause(250)) {
      const state = await this.state(service)
      if (state?.running && (state.health ?? 'healthy') === 'healthy' && more(state)) return
    }
    throw new Error(`${service} is not healthy: ${await this.compose(['logs', '--tail=30', service])}`)
  }

  async allHealthy(): Promise<void> {
    await Promise.all(services.map((service) => this.healthy(service)))
  }

  async #run(file: string, args: readonly string[], input?: string): Promise<string> {
    const running = run(file, args, { env: this.#env, cwd: repository, maxBuffer: 64 * 1024 * 1024 })
    running.child.stdin?.end(input)
    return (await running).stdout
  }
}

interface Inspected {
  State: { Running: boolean; Health?: { Status: string }; ExitCode: number; Pid: number }
  RestartCount: number
}
