import { spawnSync } from 'node:child_process'
import { tmpdir } from 'node:os'
import { cacheFolder, KAFKA_VERSION } from './kafka-jars.ts'
import { findProgram, missingPrograms, needProgram, type Program } from './programs.ts'

/** A program, and the image to run it from where this machine does not have it. */
export interface Runnable {
  readonly program: string
  readonly image?: string
}

/** What each is made of natively, and the image that has all of it. */
const parts = {
  java: { needs: ['java', 'mvn'], image: `apache/kafka:${KAFKA_VERSION}` },
  'redis-server': { needs: ['redis-server', 'redis-cli'], image: 'redis:7-alpine' },
} as const satisfies Partial<Record<Program, { needs: readonly Program[]; image: string }>>

/** Kafka's jars in its image. */
export const imageClassPath = '/opt/kafka/libs/*'

/** The native program where there is one, else one from an image; throws, saying what to install, where neither can be had. */
export function runnable(name: keyof typeof parts): Runnable {
  const { needs, image } = parts[name]
  return missingPrograms(needs).length > 0 && hasEngine() ? { program: name, image } : { program: needProgram(name) }
}

const answered = new Map<string, boolean>()

/**
 * Whether a Docker engine of this machine answers. An empty DOCKER_HOST means: use no engine. Servers listen on this
 * machine's loopback, which only an engine on Linux shares with its containers.
 */
export function hasEngine(environment = process.env): boolean {
  const { DOCKER_HOST: host } = environment
  const docker = findProgram('docker', environment)
  if (process.platform !== 'linux' || docker === undefined || (host !== undefined && !host.startsWith('unix://')))
    return false
  const key = `${docker} ${host}`
  const known = answered.get(key)
  if (known !== undefined) return known
  const { status } = spawnSync(docker, ['version'], { timeout: 10_000, stdio: 'ignore', env: environment })
  answered.set(key, status === 0)
  return status === 0
}

/**
 * The arguments of `docker` that run a program of an image almost as if it were installed here: on this machine's network, as
 * this user, with the folders for temporary files and for Kafka's cache at their own paths.
 */
export function dockerRun(image: string, command: readonly string[], options: readonly string[] = []): string[] {
  const [program = '', ...args] = command
  const folders = [tmpdir(), cacheFolder()].flatMap((folder) => ['--volume', `${folder}:${folder}`])
  const user = `${process.getuid?.()}:${process.getgid?.()}`
  const here = ['--network', 'host', '--user', user, ...folders]
  return ['run', '--rm', ...options, ...here, '--entrypoint', program, image, ...args]
}

/**
 * Runs a server inside a container, and ends it when standard input ends: Docker closes that when the process that started
 * the container dies, however it dies.
 */
export const keeper = `
exec 3<&0
"$@" 3<&- &
server=$!
{ cat <&3 >/dev/null; kill -9 "$server"; } &
trap 'kill "$server"' TERM
while kill -0 "$server" 2>/dev/null; do wait "$server"; done
`
