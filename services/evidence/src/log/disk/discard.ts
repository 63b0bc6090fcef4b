import { dirname, join } from 'node:path'
import { hashesAtLevel, parseTilePath, TILE_WIDTH, type Tile, tilePath } from '@bailiwick/tlog'
import type { Place } from '../log-storage.ts'
import type { LogFs } from './log-fs.ts'

/** Tiles whose indexes differ only in the last three digits share a folder. */
const tilesInFolder = 1000

/**
 * Removes the files of tiles that a tree of `size` leaves does not have. It looks only from the tree's right edge on, so a long log starts
 * as fast as a short one. Not synced: if a power cut brings files back, the next start removes them again.
 */
export async function discardBeyond(log: string, size: number, fs: LogFs): Promise<void> {
  for (const level of (await namesIn(join(log, 'tile'), fs)).map(levelOf)) {
    if (level === undefined) continue
    const edge = Math.floor(hashesAtLevel(size, level === 'entries' ? 0 : level) / TILE_WIDTH)
    for (let index = edge - (edge % tilesInFolder); ; index += tilesInFolder) {
      const folder = dirname(tilePath({ level, index, width: TILE_WIDTH }))
      const names = await namesIn(join(log, folder), fs)
      for (const path of await pathsOf(log, folder, names, fs)) {
        const tile = parseTilePath(path)
        if (tile !== undefined && isBeyond(tile, size)) await fs.unlink(join(log, path))
      }
      // A batch is far shorter than a folder, so there is nothing after an empty folder.
      if (index > edge && names.length === 0) break
    }
  }
}

/** The places where a tree of `size` leaves has partial tiles beside a full one, in the last two folders of each level. */
export async function outgrownIn(log: string, size: number, fs: LogFs): Promise<Place[]> {
  const places: Place[] = []
  for (const level of (await namesIn(join(log, 'tile'), fs)).map(levelOf)) {
    if (level === undefined) continue
    const full = Math.floor(hashesAtLevel(size, level === 'entries' ? 0 : level) / TILE_WIDTH)
    // A batch is far shorter than a folder.
    for (const index of [full - tilesInFolder, full].filter((at) => at >= 0)) {
      const folder = dirname(tilePath({ level, index, width: TILE_WIDTH }))
      const names = new Set(await namesIn(join(log, folder), fs))
      for (const name of names) {
        const tile = parseTilePath(`${folder}/${name.replace(/\.p$/, '')}`)
        if (name.endsWith('.p') && tile !== undefined && tile.index < full && names.has(name.slice(0, -2)))
          places.push({ level, index: tile.index })
      }
    }
  }
  return places
}

/** Removes a folder of partial tiles with its content. Not synced: tiles that a power cut brings back are correct and harmless. */
export async function discardPartial(folder: string, fs: LogFs): Promise<void> {
  const names = await namesIn(folder, fs)
  if (names.length === 0) return
  await Promise.all(names.map((name) => fs.unlink(join(folder, name))))
  await fs.rmdir(folder)
}

function isBeyond({ level, index, width }: Tile, size: number): boolean {
  return index * TILE_WIDTH + width > hashesAtLevel(size, level === 'entries' ? 0 : level)
}

async function pathsOf(log: string, folder: string, names: readonly string[], fs: LogFs): Promise<string[]> {
  const paths: string[] = []
  for (const name of names) {
    if (!name.endsWith('.p')) paths.push(`${folder}/${name}`)
    else for (const width of await namesIn(join(log, folder, name), fs)) paths.push(`${folder}/${name}/${width}`)
  }
  return paths
}

function levelOf(name: string): Tile['level'] | undefined {
  if (name === 'entries') return name
  return /^\d{1,2}$/.test(name) ? Number(name) : undefined
}

/** The names in a folder; empty if the folder does not exist. */
export async function namesIn(folder: string, fs: LogFs): Promise<string[]> {
  try {
    return await fs.readdir(folder)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
    throw error
  }
}
