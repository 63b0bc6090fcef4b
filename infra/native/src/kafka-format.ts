import { randomBytes } from 'node:crypto'
import { cpSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { dataFolder, type NodePlace, serverProperties } from './kafka-config.ts'
import { cacheFolder, hash } from './kafka-jars.ts'
import type { Java } from './kafka-java.ts'
import { cached } from './warm-cache.ts'

/** Users with their passwords, as SCRAM credentials that the cluster has from its first moment. */
export type Users = ReadonlyMap<string, string>

/**
 * Formats the folders of a new cluster. Kafka's tool takes most of a second, so its result is kept and copied: only the
 * lines of meta.properties in it are specific to a node, and those are written here. With users it runs once for each
 * cluster, because their salts and keys are the cluster's own.
 */
export async function formatNodes(
  java: Java,
  clusterId: string,
  nodes: readonly NodePlace[],
  users?: Users,
): Promise<void> {
  const [first] = nodes
  if (!first) return
  const template = users
    ? join(first.dir, 'format')
    : await cached(cacheFolder(), `formatted-${hash(java.classPath)}`, (dir) => format(java, dir))
  if (users) await format(java, template, users)
  for (const node of nodes) {
    cpSync(template, dataFolder(node), { recursive: true })
    const meta = { version: 1, 'cluster.id': clusterId, 'node.id': node.id, 'directory.id': uuid() }
    const lines = Object.entries(meta).map(([name, value]) => `${name}=${value}\n`)
    writeFileSync(join(dataFolder(node), 'meta.properties'), lines.join(''))
  }
}

async function format(java: Java, dir: string, users: Users = new Map()): Promise<void> {
  const stage = `${dir}.format`
  mkdirSync(stage, { recursive: true, mode: 0o700 })
  const node = { id: 1, port: 1, controllerPort: 2, dir: stage }
  const properties = join(stage, 'server.properties')
  writeFileSync(properties, serverProperties(node, [node]), { mode: 0o600 })
  const scram = [...users].flatMap(([name, password]) => [
    '--add-scram',
    `SCRAM-SHA-512=[name=${name},password=${password}]`,
  ])
  await java.run('kafka.tools.StorageTool', ['format', '-t', uuid(), '-c', properties, ...scram])
  renameSync(dataFolder(node), dir)
  rmSync(stage, { recursive: true })
}

/** As Kafka writes its ids: 16 random bytes in base64url, never with a dash in front. */
export function uuid(): string {
  for (;;) {
    const id = randomBytes(16).toString('base64url')
    if (!id.startsWith('-')) return id
  }
}
