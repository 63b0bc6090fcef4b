import { execFile } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { ServiceError } from '@bailiwick/errors'

const run = promisify(execFile)

/** The programs that a native part needs, and how to get each. */
const advice = {
  java: 'Java 17 or newer (Debian: openjdk-17-jre-headless; macOS: brew install openjdk)',
  mvn: 'Maven, which fetches the jars of Apache Kafka once (Debian: maven; macOS: brew install maven)',
  openssl: 'openssl, which makes the certificates of a secure broker (Debian: openssl)',
  'redis-cli': 'the command line of Redis (Debian: redis-tools; macOS: brew install redis)',
  'redis-server': 'Redis 7 or newer (Debian: redis-server; macOS: brew install redis)',
} as const

export type Program = keyof typeof advice

/** Where a program is on the path, or undefined. A path that is relative or empty is not searched. */
export function findProgram(name: string, environment = process.env): string | undefined {
  if (name === 'java' && environment.JAVA_HOME) {
    const home = join(environment.JAVA_HOME, 'bin', 'java')
    if (isExecutable(home)) return home
  }
  const folders = (environment.PATH ?? '').split(delimiter).filter((folder) => folder.startsWith('/'))
  return folders.map((folder) => join(folder, name)).find(isExecutable)
}

/** Which of these programs are missing, in words that say how to get them; empty when all are there. */
export function missingPrograms(names: readonly Program[], environment = process.env): string[] {
  return names.filter((name) => findProgram(name, environment) === undefined).map((name) => `${name}: ${advice[name]}`)
}

/** The path of a program. Throws an error that says how to get it. */
export function needProgram(name: Program, environment = process.env): string {
  const found = findProgram(name, environment)
  if (found === undefined) throw new ServiceError('service_unready', `${name} is missing. Install ${advice[name]}`)
  return found
}

/** Runs a program to its end; its output is in the error when it fails. */
export async function runProgram(path: string, args: readonly string[], timeoutSeconds: number): Promise<string> {
  try {
    const { stdout } = await run(path, args, { timeout: timeoutSeconds * 1000, maxBuffer: 16 * 1024 * 1024 })
    return stdout
  } catch (error) {
    throw new ServiceError('service_unready', `${path} failed: ${lastLines(outputOf(error), 20)}`, { cause: error })
  }
}

/** The last lines of a text, for an error that a person reads. */
export function lastLines(text: string, count: number): string {
  return text.trim().split('\n').slice(-count).join('\n')
}

function outputOf(error: unknown): string {
  if (typeof error !== 'object' || error === null) return String(error)
  const { stdout, stderr, message } = error as { stdout?: unknown; stderr?: unknown; message?: unknown }
  return [stdout, stderr].filter((text) => typeof text === 'string' && text !== '').join('\n') || String(message)
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
