import { existsSync, writeFileSync } from 'node:fs'
import { dockerRun, imageClassPath, type Runnable, runnable } from './container.ts'
import { cacheFolder, hash, javaBuild, kafkaClassPath } from './kafka-jars.ts'
import { runProgram } from './programs.ts'
import { cached } from './warm-cache.ts'

/** A Java that can run Kafka. */
export interface Java extends Runnable {
  classPath: string
  /** The arguments for a Java that runs this class of Kafka's. */
  arguments(mainClass: string, args: readonly string[], options?: readonly string[]): string[]
  /** Runs a class to its end. */
  run(mainClass: string, args: readonly string[]): Promise<string>
}

// For a broker that starts often and lives briefly: no time for the optimising compiler, no threads for the collector.
const flags = ['-Xmx400m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-XX:-UsePerfData', '-Xshare:auto']
const logging = Object.entries({ defaultLogLevel: 'warn', showDateTime: true, dateTimeFormat: 'HH:mm:ss.SSS' }).map(
  ([name, value]) => `-Dorg.slf4j.simpleLogger.${name}=${value}`,
)

/**
 * Java with Kafka on its class path and the classes in an archive (AppCDS): a broker is ready in 0.9 s instead of 2.3
 * s. `record` makes the archive, once for each `recipe`: it runs a broker with the given options and ends it with
 * SIGTERM.
 */
export async function openJava(
  progress: (line: string) => void,
  recipe: string,
  record: (java: Java, options: readonly string[]) => Promise<void>,
): Promise<Java> {
  const found = runnable('java')
  // Of an image whose builds differ there is no archive to keep: a broker is slower to start.
  if (found.image !== undefined) return java(found, imageClassPath, [])
  const { program } = found
  const classPath = await kafkaClassPath(progress)
  const plain = java(found, classPath, [])
  const name = `classes-${hash(classPath, javaBuild(program), recipe, ...flags)}.jsa`
  const archive = await cached(cacheFolder(), name, async (path) => {
    progress('recording an archive of its classes, once …')
    await record(plain, [`-XX:ArchiveClassesAtExit=${path}`])
    if (!existsSync(path)) writeFileSync(path, '') // a Java that cannot make an archive ignores an empty one, and is slower
  })
  return java(found, classPath, [`-XX:SharedArchiveFile=${archive}`])
}

function java({ program, image }: Runnable, classPath: string, archive: readonly string[]): Java {
  const argumentsOf: Java['arguments'] = (mainClass, args, options = []) => [
    ...flags,
    ...archive,
    ...logging,
    ...options,
    '-cp',
    classPath,
    mainClass,
    ...args,
  ]
  return {
    program,
    ...(image === undefined ? {} : { image }),
    classPath,
    arguments: argumentsOf,
    run: (mainClass, args) => {
      const line = argumentsOf(mainClass, args)
      return image === undefined
        ? runProgram(program, line, 60)
        : runProgram('docker', dockerRun(image, [program, ...line]), 60)
    },
  }
}
