import { readdirSync, readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { parseStrictJson } from '@bailiwick/contracts'
import { outcomeHash, sha256 } from '@bailiwick/credentials'
import { writeFileDurably } from '@bailiwick/kit'
import { z } from 'zod'

/** A file with outcomes that an enforcement point sent together. */
export interface ToldFile {
  path: string
  /** Hashes of the outcomes that are still looked for. The file is removed with the last one. */
  left: Set<string>
}

/** The content of one file. */
export interface Kept {
  file: ToldFile
  /** ms since the epoch. */
  at: number
  /** Whether the enforcement point says that the decision point has given its last answer. */
  answered: boolean
  outcomes: readonly string[]
}

const fileSchema = z.union([
  z.strictObject({ told_at: z.int().min(0), answered: z.boolean(), outcomes: z.array(z.string()).min(1) }),
  // Written before points could tell whether an outcome was answered.
  z
    .strictObject({ told_at: z.int().min(0), outcome: z.string() })
    .transform(({ told_at, outcome }) => ({ told_at, answered: false, outcomes: [outcome] })),
])

/** The files of a folder that exists and is durable. Throws when a file cannot be read. */
export function readTold(dir: string): Kept[] {
  const paths = readdirSync(dir).filter((name) => !name.startsWith('.'))
  return paths.map((name) => {
    const path = join(dir, name)
    const { told_at: at, answered, outcomes } = fileSchema.parse(parseStrictJson(readFileSync(path)))
    return { file: { path, left: new Set(outcomes.map(outcomeHash)) }, at, answered, outcomes }
  })
}

/** The file for outcomes sent together. Its name is derived from them, so the same outcomes sent again have the same file. */
export function toldFile(dir: string, hashes: readonly string[], answered: boolean): ToldFile {
  return { path: join(dir, `${sha256(`${answered} ${hashes.join(' ')}`)}.json`), left: new Set(hashes) }
}

/** Resolves once the outcomes survive a power cut. */
export function writeTold(file: ToldFile, { at, answered, outcomes }: Omit<Kept, 'file'>): Promise<void> {
  return writeFileDurably(file.path, Buffer.from(JSON.stringify({ told_at: at, answered, outcomes })))
}

/** Drops an outcome that is no longer looked for from its file. */
export async function dropFrom({ path, left }: ToldFile, hash: string): Promise<void> {
  if (left.delete(hash) && left.size === 0) await rm(path, { force: true })
}
