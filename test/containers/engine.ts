import { execFile } from 'node:child_process'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { findProgram } from '@bailiwick/native'
import { repository } from '../infra/compose-file.ts'

const run = promisify(execFile)

const needed = {
  dockerd: 'docker.io',
  'docker-compose': 'docker-compose',
  debootstrap: 'debootstrap',
  iptables: 'iptables',
}

/** The images are kept here, so that the next run need not build them again. */
const folder =
  process.env.BAILIWICK_ENGINE || join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'bailiwick/engine')

/** Building all images takes three minutes on a machine that does nothing else. */
export const startMillis = 1_200_000

/** A Docker engine of the tests' own, with an image by each name that the product's files use. */
export interface Engine extends AsyncDisposable {
  /** DOCKER_HOST */
  readonly host: string
}

/** What this machine lacks to start an engine, and how to get it; undefined when it lacks nothing. */
function lacking(): string | undefined {
  const packages = Object.entries(needed).flatMap(([program, name]) => (findProgram(program) ? [] : [name]))
  if (packages.length > 0) return `apt-get install ${packages.join(' ')}`
  return process.getuid?.() === 0 ? undefined : 'only root may start one'
}

/** Starts the engine. Gives the reason instead where this machine can have none: the run's closing line says it. */
export async function startEngine(): Promise<Engine | string> {
  const why = lacking()
  if (why !== undefined) return why
  const host = `unix://${folder}/docker.sock`
  const script = (name: string, ...args: string[]) =>
    run(join(repository, 'infra/docker/test', name), args, { env: { ...process.env, DOCKER_HOST: host } })
  const stop = async () => void (await script('engine.sh', 'stop', folder))
  try {
    await script('engine.sh', 'start', folder)
    await script('images.sh', join(folder, 'work'))
  } catch (error) {
    await stop()
    const { stderr = '' } = error as { stderr?: string }
    return `it does not start here: ${stderr.trim().split('\n').slice(-5).join(' | ') || error}`
  }
  return { host, [Symbol.asyncDispose]: stop }
}
