import { createHash } from 'node:crypto'
import { existsSync, readFileSync, rmSync, statSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { needProgram, runProgram } from './programs.ts'
import { cached } from './warm-cache.ts'

/** `pom.xml` has the same version: a test compares the two. */
export const KAFKA_VERSION = '4.4.0'

const pom = join(import.meta.dirname, '../pom.xml')
const goal = 'org.apache.maven.plugins:maven-dependency-plugin:3.6.1:build-classpath'

/** The folder in which class path, class archive and formatted folder are kept between runs; it is safe to delete at any time. */
export function cacheFolder(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'bailiwick', `kafka-${KAFKA_VERSION}`)
}

/**
 * The class path of Kafka's broker: jars in Maven's own repository. Maven fetches 70 MB the first time. Later only the
 * list is read, and made again when a jar is gone.
 */
export async function kafkaClassPath(progress: (line: string) => void): Promise<string> {
  const name = `classpath-${hash(readFileSync(pom, 'utf8'))}`
  const make = async (path: string) => {
    const mvn = needProgram('mvn')
    progress(`fetching Apache Kafka ${KAFKA_VERSION} through Maven, once …`)
    await runProgram(
      mvn,
      ['-q', '-B', '-f', pom, goal, `-Dmdep.outputFile=${path}`, '-Dmdep.includeScope=runtime'],
      900,
    )
  }
  const file = await cached(cacheFolder(), name, make)
  const classPath = readFileSync(file, 'utf8').trim()
  if (classPath.split(':').every((jar) => existsSync(jar))) return classPath
  rmSync(file, { force: true })
  return readFileSync(await cached(cacheFolder(), name, make), 'utf8').trim()
}

/** A short name for the result of these texts. */
export function hash(...texts: readonly string[]): string {
  return createHash('sha256').update(JSON.stringify(texts)).digest('hex').slice(0, 16)
}

/** Changes with the installed Java: a class archive fits one build of it. */
export function javaBuild(java: string): string {
  const { ino, mtimeMs, size } = statSync(java)
  return hash(java, String(ino), String(mtimeMs), String(size))
}
