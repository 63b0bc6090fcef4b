import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type DurableFs, ensureDir, readFileIfExists, systemFs, writeFileDurably } from './durable-file.ts'

const text = (value: string) => new TextEncoder().encode(value)
let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'durable-'))
})
afterEach(() => rm(dir, { recursive: true, force: true }))

/** The real file system, but it records each step and fails at the one that `breaks` names. */
function tracedFs(breaks?: string, shortWrites = false): { fs: DurableFs; steps: string[] } {
  const steps: string[] = []
  async function step<T>(name: string, act: () => Promise<T>): Promise<T> {
    steps.push(name)
    if (name === breaks) throw Object.assign(new Error(name), { code: 'EIO' })
    return act()
  }
  const fs: DurableFs = {
    ...systemFs,
    async open(path, flags, mode) {
      const what = flags === 'r' ? 'directory' : 'file'
      const handle = await step(`open ${what}`, () => systemFs.open(path, flags, mode))
      return {
        write: (bytes, offset, length) =>
          step('write', () => handle.write(bytes, offset, shortWrites ? Math.min(3, length) : length)),
        sync: () => step(`sync ${what}`, () => handle.sync()),
        datasync: () => step(`datasync ${what}`, () => handle.datasync()),
        close: () => handle.close(),
      }
    },
    rename: (from, to) => step('rename', () => systemFs.rename(from, to)),
    mkdir: (path, options) => step('mkdir', () => systemFs.mkdir(path, options)),
  }
  return { fs, steps }
}

describe('a durable write', () => {
  it('syncs the file before it takes the name, and the name before it resolves', async () => {
    const { fs, steps } = tracedFs()
    await writeFileDurably(join(dir, 'trust.json'), text('{}'), { fs })
    expect(steps).toEqual(['open file', 'write', 'sync file', 'rename', 'open directory', 'sync directory'])
    expect(await readFile(join(dir, 'trust.json'), 'utf8')).toBe('{}')
    expect(await readdir(dir)).toEqual(['trust.json'])
  })

  it('has the permissions asked for, or 0600, and never those of the old file', async () => {
    const path = join(dir, 'key')
    await writeFile(path, 'old')
    await chmod(path, 0o644)
    await writeFileDurably(path, text('new'))
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    await writeFileDurably(path, text('new'), { mode: 0o400 })
    expect((await stat(path)).mode & 0o777).toBe(0o400)
  })

  it('goes on after a short write until every byte is written', async () => {
    const { fs, steps } = tracedFs(undefined, true)
    await writeFileDurably(join(dir, 'f'), text('0123456789'), { fs })
    expect(await readFile(join(dir, 'f'), 'utf8')).toBe('0123456789')
    expect(steps.filter((step) => step === 'write')).toHaveLength(4)
  })

  it('writes parts in their order, each before it asks for the next, and leaves the old content if one fails', async () => {
    const path = join(dir, 'f')
    const { fs, steps } = tracedFs()
    async function* parts(last: () => Uint8Array) {
      yield text('one ')
      expect(steps.filter((step) => step === 'write')).toHaveLength(1)
      yield text('two ')
      yield last()
    }
    await writeFileDurably(
      path,
      parts(() => text('three')),
      { fs },
    )
    expect(await readFile(path, 'utf8')).toBe('one two three')
    steps.length = 0
    const failing = parts(() => {
      throw new Error('no more')
    })
    await expect(writeFileDurably(path, failing, { fs })).rejects.toThrow('no more')
    expect(await readFile(path, 'utf8')).toBe('one two three')
    expect(await readdir(dir)).toEqual(['f'])
  })

  it('gives up when the file system takes nothing, instead of asking for ever', async () => {
    const { fs } = tracedFs()
    const full: DurableFs = {
      ...fs,
      open: async (...args) => ({ ...(await fs.open(...args)), write: async () => ({ bytesWritten: 0 }) }),
    }
    await expect(writeFileDurably(join(dir, 'f'), text('x'), { fs: full })).rejects.toThrow('took nothing')
    expect(await readdir(dir)).toEqual([])
  })

  it.each(['open file', 'write', 'sync file', 'rename'])(
    'leaves the old content and nothing else when it breaks at: %s',
    async (breaks) => {
      const path = join(dir, 'f')
      await writeFile(path, 'old')
      const { fs, steps } = tracedFs(breaks)
      await expect(writeFileDurably(path, text('new'), { fs })).rejects.toMatchObject({ code: 'EIO' })
      expect(await readFile(path, 'utf8')).toBe('old')
      expect(await readdir(dir)).toEqual(['f'])
      expect(steps.filter((step) => step === breaks)).toHaveLength(1)
    },
  )

  it.each(['open directory', 'sync directory'])('has an unknown outcome when it breaks at: %s', async (breaks) => {
    const { fs, steps } = tracedFs(breaks)
    await expect(writeFileDurably(join(dir, 'f'), text('new'), { fs })).rejects.toMatchObject({
      code: 'outcome_unknown',
    })
    expect(steps.filter((step) => step === breaks)).toHaveLength(1)
  })

  it('replaces a link instead of writing through it', async () => {
    await writeFile(join(dir, 'elsewhere'), 'untouched')
    await symlink(join(dir, 'elsewhere'), join(dir, 'f'))
    await writeFileDurably(join(dir, 'f'), text('new'))
    expect(await readFile(join(dir, 'elsewhere'), 'utf8')).toBe('untouched')
    expect(await readFile(join(dir, 'f'), 'utf8')).toBe('new')
  })

  it('does not write through a link at its temporary name', async () => {
    await writeFile(join(dir, 'elsewhere'), 'untouched')
    await symlink(join(dir, 'elsewhere'), join(dir, '.f.0000000000000000.tmp'))
    const write = writeFileDurably(join(dir, 'f'), text('new'), { random: (n) => new Uint8Array(n) })
    await expect(write).rejects.toMatchObject({ code: 'EEXIST' })
    expect(await readFile(join(dir, 'elsewhere'), 'utf8')).toBe('untouched')
  })

  it('is whole when many write the same path at once', async () => {
    const contents = Array.from({ length: 20 }, (_, n) => String(n).repeat(1000))
    await Promise.all(contents.map((content) => writeFileDurably(join(dir, 'f'), text(content))))
    expect(contents).toContain(await readFile(join(dir, 'f'), 'utf8'))
    expect(await readdir(dir)).toEqual(['f'])
  })
})

it('reads a file, and tells a missing one from one that cannot be read', async () => {
  await writeFile(join(dir, 'f'), 'x')
  expect(Buffer.from((await readFileIfExists(join(dir, 'f'))) ?? []).toString()).toBe('x')
  expect(await readFileIfExists(join(dir, 'g'))).toBeUndefined()
  await expect(readFileIfExists(dir)).rejects.toMatchObject({ code: 'EISDIR' })
})

describe('a directory', () => {
  it('is made with those above it, each private and synced into its parent', async () => {
    const { fs, steps } = tracedFs()
    await ensureDir(join(dir, 'a', 'b', 'c'), 0o700, fs)
    for (const made of ['a', 'a/b', 'a/b/c']) expect((await stat(join(dir, made))).mode & 0o777).toBe(0o700)
    expect(steps.filter((step) => step === 'sync directory')).toHaveLength(3)
  })

  it('may be there already', async () => {
    await mkdir(join(dir, 'a'))
    await ensureDir(join(dir, 'a'))
    await Promise.all([ensureDir(join(dir, 'x', 'y')), ensureDir(join(dir, 'x', 'y')), ensureDir('/')])
    expect(await readdir(join(dir, 'x'))).toEqual(['y'])
  })

  it('is not taken for there when a file is', async () => {
    await writeFile(join(dir, 'f'), '')
    await expect(ensureDir(join(dir, 'f'))).rejects.toMatchObject({ code: 'ENOTDIR' })
    await expect(ensureDir(join(dir, 'f', 'g'))).rejects.toMatchObject({ code: 'ENOTDIR' })
  })

  it('says when it may not last', async () => {
    await expect(ensureDir(join(dir, 'a'), 0o700, tracedFs('sync directory').fs)).rejects.toMatchObject({
      code: 'outcome_unknown',
    })
  })
})
