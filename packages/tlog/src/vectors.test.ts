import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { encodeCheckpoint, parseCheckpoint } from './checkpoint.ts'
import { parseSkey, parseVkey, type SignerKey, type VerifierKey } from './keys.ts'
import { entryOf, leafOf } from './naive-log.ts'
import { signNote } from './note.ts'
import { openNote } from './open-note.ts'
import { consistencyProofOf, inclusionProofOf } from './proofs.ts'
import { RightEdge } from './right-edge.ts'
import { verifyConsistency, verifyInclusion } from './verify-proofs.ts'

/** Made by Go's own implementation, whose verdict `wantErr` is. */
interface Case {
  desc: string
  wantErr: boolean
}

function vectors<T>(name: string): { skey?: string; cases: (Case & T)[] } {
  return JSON.parse(readFileSync(new URL(`../../../test/vectors/tlog/${name}.json`, import.meta.url), 'utf8'))
}

const bytes = (hex: string) => Buffer.from(hex, 'hex')
const hexes = (hashes: readonly Uint8Array[]) => hashes.map((hash) => Buffer.from(hash).toString('hex'))
const leaves = Array.from({ length: 66_000 }, (_, n) => leafOf(entryOf(n)))

it.each(vectors<{ size: number; index: number; leafHash: string; root: string; proof: string[] }>('inclusion').cases)(
  'agrees with Go on inclusion: $desc',
  ({ size, index, leafHash, root, proof, wantErr }) => {
    const claim = { leafHash: bytes(leafHash), index, proof: proof.map(bytes) }
    expect(verifyInclusion(claim, { size, root: bytes(root) })).toBe(!wantErr)
    if (!wantErr) expect(hexes(inclusionProofOf(leaves.slice(0, size), index))).toEqual(proof)
  },
)

it.each(vectors<{ from: number; to: number; fromRoot: string; toRoot: string; proof: string[] }>('consistency').cases)(
  'agrees with Go on consistency: $desc (V14)',
  ({ from, to, fromRoot, toRoot, proof, wantErr }) => {
    const [older, newer] = [
      { size: from, root: bytes(fromRoot) },
      { size: to, root: bytes(toRoot) },
    ]
    expect(verifyConsistency(proof.map(bytes), older, newer)).toBe(!wantErr)
    if (!wantErr) expect(hexes(consistencyProofOf(leaves.slice(0, to), from))).toEqual(proof)
  },
)

it.each(vectors<{ size: number; root: string; tiles: Record<string, string> }>('tiles').cases)(
  'makes the tiles that Go makes: $desc',
  ({ size, root, tiles }) => {
    const edge = new RightEdge()
    for (const leaf of leaves.slice(0, size)) edge.append(leaf)
    const made = new Map(edge.take().map((file) => [file.path, createHash('sha256').update(file.bytes).digest('hex')]))
    expect(hexes([edge.root()])).toEqual([root])
    for (const [path, digest] of Object.entries(tiles)) expect([path, made.get(path)]).toEqual([path, digest])
    if (size < 1000) expect([...made.keys()].sort()).toEqual(Object.keys(tiles).sort())
  },
)

const notes = vectors<{ note: string; vkeys: string[]; text?: string }>('note')
it.each(notes.cases)('agrees with Go on notes: $desc', ({ note, vkeys, text, wantErr }) => {
  const keys = vkeys.map((vkey) => parseVkey(vkey) as VerifierKey)
  expect(openNote(note, keys)).toMatchObject(wantErr ? { ok: false } : { ok: true, text })
  const isSignedByOne = !wantErr && note.split('\n— ').length === 2
  if (isSignedByOne) expect(signNote(text ?? '', parseSkey(notes.skey ?? '') as SignerKey)).toBe(note)
})

it.each(vectors<{ text: string; size?: number; root?: string }>('checkpoint').cases)(
  'agrees with Go on checkpoints: $desc',
  ({ text, size, root, wantErr }) => {
    const parsed = parseCheckpoint(text)
    expect(parsed === undefined).toBe(wantErr)
    if (parsed === undefined) return
    expect([parsed.size, ...hexes([parsed.root])]).toEqual([size, root])
    expect(encodeCheckpoint(parsed)).toBe(text)
  },
)
