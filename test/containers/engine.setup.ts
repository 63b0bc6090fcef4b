import { execFileSync } from 'node:child_process'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { findProgram } from '@bailiwick/native'
import type { TestProject } from 'vitest/node'
import { repository } from '../infra/compose-file.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    /** The DOCKER_HOST of an engine with all base images; absent where none can be had. */
    engine: string | undefined
  }
}

const needed = {
  dockerd: 'docker.io',
  'docker-compose': 'docker-compose',
  debootstrap: 'debootstrap',
  iptables: 'iptables',
}

/** What is missing here for a container engine of the tests' own, in words that say how to get it; undefined when one can be started. */
function missingForEngine(): string | undefined {
  const packages = Object.entries(needed).flatMap(([program, name]) => (findProgram(program) ? [] : [name]))
  if (packages.length > 0) return `a container engine: apt-get install ${packages.join(' ')}`
  return process.getuid?.() === 0 ? undefined : 'a container engine: only root may start one'
}

/** An engine of this suite's own: no other suite finds it, since each of them takes native parts. Its images are kept. */
export default function start(project: TestProject): () => void {
  const missing = missingForEngine()
  if (missing !== undefined) {
    if (process.env.CI === 'true') throw new Error(missing)
    return () => {}
  }
  const cache = process.env.XDG_CACHE_HOME || join(homedir(), '.cache')
  const folder = process.env.BAILIWICK_ENGINE || join(cache, 'bailiwick/engine')
  const host = `unix://${folder}/docker.sock`
  const script = (name: string, ...args: string[]) =>
    execFileSync(join(repository, 'infra/docker/test', name), args, {
      stdio: 'inherit',
      env: { ...process.env, DOCKER_HOST: host },
    })
  script('engine.sh', 'start', folder)
  script('images.sh', join(folder, 'work'))
  project.provide('engine', host)
  return () => script('engine.sh', 'stop', folder)
}
