import { createHash } from 'node:crypto'
import {
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join, relative, sep } from 'node:path'
import { parseStrictJson } from '@bailiwick/contracts'
import { ServiceError } from '@bailiwick/errors'
import { z } from 'zod'
import { paths } from './paths.ts'
import { readInstallation } from './read-installation.ts'

const markSchema = z.strictObject({
  v: z.literal(1),
  /** The id of the revocation that a restored folder declares: once, however often it is started. */
  backup: z.string().regex(/^bck_[0-9a-f]{20}$/),
  installation: z.string(),
  made_at: z.string(),
  /** SHA-256 of each file, by its path in the folder. */
  files: z.record(z.string(), z.string()),
})
/** Marks a folder as a copy of an earlier state. */
export type BackupMark = z.infer<typeof markSchema>

/**
 * Copies a data directory into a folder that does not exist yet. No process may be running on the directory (the caller holds its locks).
 * The copy carries its mark, `backup.json`, from the start: however it is restored, by `restore` or by hand, no service uses it before
 * everything has been revoked.
 */
export function backUp(options: {
  data: string
  target: string
  now: number
  random: (n: number) => Uint8Array
}): BackupMark {
  const { data, target, now, random } = options
  const { trust } = readInstallation(data)
  if (backupMark(data) !== undefined) throw new ServiceError('config_invalid', `${data} is a backup itself`)
  refuseThere(target)
  const names = filesIn(data)
  const mark: BackupMark = {
    v: 1,
    backup: `bck_${Buffer.from(random(10)).toString('hex')}`,
    installation: trust.installation,
    made_at: new Date(now).toISOString(),
    files: Object.fromEntries(names.map((name) => [name, hashOf(join(data, name))])),
  }
  mkdirSync(target, { recursive: true, mode: 0o700 })
  // The mark first: an incomplete copy is marked as well.
  writeFileSync(paths(target).backup, `${JSON.stringify(mark)}\n`, { mode: 0o600, flush: true })
  copyFiles(names, data, target)
  checkFiles(target, mark)
  return mark
}

/**
 * Restores a backup as a data directory. Throws `config_invalid` if something already exists there, or if a file of the backup is missing,
 * changed or was added later.
 */
export function restore({ source, data }: { source: string; data: string }): BackupMark {
  const mark = backupMark(source)
  if (mark === undefined) throw new ServiceError('config_invalid', `${source} is no backup: it has no backup.json`)
  checkFiles(source, mark)
  refuseThere(data)
  mkdirSync(data, { recursive: true, mode: 0o700 })
  copyFileSync(paths(source).backup, paths(data).backup)
  copyFiles(
    Object.keys(mark.files).filter((name) => !isLock(name)),
    source,
    data,
  )
  checkFiles(data, mark)
  return mark
}

/** The mark of a folder that came from a backup and has not declared its revocation yet. Throws `config_invalid` if it cannot be read. */
export function backupMark(data: string): BackupMark | undefined {
  const path = paths(data).backup
  if (!existsSync(path)) return undefined
  try {
    return markSchema.parse(parseStrictJson(readFileSync(path)))
  } catch (cause) {
    throw new ServiceError('config_invalid', `${path} cannot be read`, { cause })
  }
}

/** Everything was durably revoked: from now on the folder is an ordinary one. */
export function settleBackup(data: string): void {
  const path = paths(data).backup
  renameSync(path, join(data, settledName))
}

/** The name of the remaining mark, kept for later questions. */
const settledName = 'backup-restored.json'

function refuseThere(folder: string): void {
  if (existsSync(folder) && readdirSync(folder).length > 0)
    throw new ServiceError('config_invalid', `${folder} is not empty: nothing is put over what is there`)
}

function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .filter((name) => name !== 'backup.json' && name !== settledName && !isLock(name) && !isSnapshot(name))
    .sort()
}

/**
 * A lock file is empty and belongs to the process that holds it: here, the one that makes the backup. It is not copied, because POSIX drops
 * a process's lock as soon as the process closes the file anywhere, for example after a copy.
 */
const isLock = (name: string) => [paths('').busLock, paths('').logLock].includes(name)

/** Not copied: a snapshot belongs to one bus at one time, and every start works without it. */
const isSnapshot = (name: string) => name.startsWith(`${paths('').snapshots}${sep}`)

function copyFiles(names: readonly string[], from: string, to: string): void {
  for (const name of names) {
    const [source, target] = [join(from, name), join(to, name)]
    makeFolders(dirname(name), from, to)
    copyFileSync(source, target)
  }
}

/** With the same permissions as the originals, and no more: key folders are private. */
function makeFolders(name: string, from: string, to: string): void {
  if (name === '.' || existsSync(join(to, name))) return
  makeFolders(dirname(name), from, to)
  mkdirSync(join(to, name), { mode: lstatSync(join(from, name)).mode & 0o777 })
}

function checkFiles(folder: string, { files }: BackupMark): void {
  const there = new Set(filesIn(folder))
  const wrong =
    Object.keys(files).find(
      (name) => !isLock(name) && (!there.has(name) || hashOf(join(folder, name)) !== files[name]),
    ) ?? [...there].find((name) => !Object.hasOwn(files, name))
  if (wrong !== undefined) throw new ServiceError('config_invalid', `${join(folder, wrong)} is not as it was backed up`)
}

const hashOf = (path: string) => createHash('sha256').update(readFileSync(path)).digest('base64url')
