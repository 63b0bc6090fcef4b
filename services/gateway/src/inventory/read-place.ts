import { constants } from 'node:fs'
import { type FileHandle, open, opendir, realpath, stat } from 'node:fs/promises'
import { join } from 'node:path'

/** So much of a file is searched. Configurations are smaller. */
const mostBytes = 16 * 2 ** 20
/** So many files below a folder are searched. */
const mostFiles = 20_000

export type WhyNot = 'not_readable' | 'not_a_file' | 'only_its_beginning' | 'too_many_files' | 'does_not_exist'

/**
 * The content of a file, up to a bound. Undefined if there is none. Waits for no pipe and reads no device that stands in its place.
 */
export async function readPlace(path: string): Promise<{ bytes: Buffer; why?: WhyNot } | { why: WhyNot } | undefined> {
  let file: FileHandle
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY)
  } catch (error) {
    const code = codeOf(error)
    return code === 'ENOENT' || code === 'ENOTDIR' ? undefined : { why: 'not_readable' }
  }
  try {
    const { size } = await regular(file)
    const bytes = Buffer.allocUnsafe(Math.min(size, mostBytes))
    const { bytesRead } = await file.read(bytes, 0, bytes.length, 0)
    const read = bytes.subarray(0, bytesRead)
    return size > bytesRead ? { bytes: read, why: 'only_its_beginning' } : { bytes: read }
  } catch (error) {
    return { why: error === notRegular ? 'not_a_file' : 'not_readable' }
  } finally {
    await file.close()
  }
}

const notRegular = new Error('not a regular file')

async function regular(file: FileHandle) {
  const found = await file.stat()
  if (!found.isFile()) throw notRegular
  return found
}

/** The path without links; itself if it does not exist. */
export const realPathOf = (path: string): Promise<string> => realpath(path).catch(() => path)

/** The files at and below a path that a person named. Follows no link below it. `onSkipped` gets what was left out, and why. */
export async function* filesBelow(
  path: string,
  onSkipped: (place: string, why: WhyNot) => void,
): AsyncGenerator<string> {
  const found = await stat(path).catch(() => undefined)
  if (found === undefined) return onSkipped(path, 'does_not_exist')
  if (!found.isDirectory()) return yield path
  let count = 0
  const folders = [path]
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    try {
      for await (const entry of await opendir(folder)) {
        const at = join(folder, entry.name)
        if (entry.isDirectory()) folders.push(at)
        if (!entry.isFile()) continue
        if (++count > mostFiles) return onSkipped(path, 'too_many_files')
        yield at
      }
    } catch {
      onSkipped(folder, 'not_readable')
    }
  }
}

const codeOf = (error: unknown): unknown => (error instanceof Error && 'code' in error ? error.code : undefined)
