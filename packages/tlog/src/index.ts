export { type AddCheckpoint, encodeAddCheckpoint, parseAddCheckpoint } from './add-checkpoint.ts'
export {
  type Checkpoint,
  type CheckpointRefusal,
  encodeCheckpoint,
  type LogTrust,
  type OpenedCheckpoint,
  openCheckpoint,
  parseCheckpoint,
  signCheckpoint,
} from './checkpoint.ts'
export { type Cosignature, cosign, cosignedMessage, decodeCosignature, isCosignedBy } from './cosignature.ts'
export { decodeEntryBundle, encodeEntries, encodeEntryBundle, MAX_ENTRY_BYTES } from './entry-bundle.ts'
export { type FsckFault, type FsckOptions, type FsckReason, type FsckResult, fsck } from './fsck.ts'
export {
  distinctName,
  encodeVkey,
  isKeyName,
  keyId,
  parseSkey,
  parseVkey,
  SIGNATURE_TYPE,
  type SignatureType,
  SignerKey,
  type VerifierKey,
  verifierKey,
} from './keys.ts'
export { addSignatures, encodeNote, type Note, type NoteSignature, parseNote, signatureLine, signNote } from './note.ts'
export { type NoteRefusal, type NoteSigner, type OpenedNote, openNote } from './open-note.ts'
export {
  isQuorumMet,
  type ParsedPolicy,
  type Policy,
  type PolicyParty,
  parsePolicy,
  type Quorum,
} from './policy.ts'
export { consistencyProof, consistencyProofOf, inclusionProof, inclusionProofOf, rootFromTiles } from './proofs.ts'
export { RightEdge, type TileFile } from './right-edge.ts'
export { decodeBase64 } from './text.ts'
export { readContents, type TileReader } from './tile-contents.ts'
export { parseTilePath, TILE_WIDTH, type Tile, tilePath } from './tile-path.ts'
export { TileUnreadable, type TreeTiles, treeReader } from './tile-reader.ts'
export {
  bundlesToWrite,
  decodeTile,
  encodeTile,
  type HashTile,
  hashesAtLevel,
  partialTiles,
  tileLevels,
  tilesToWrite,
  widthIn,
} from './tiles.ts'
export { encodeTlogProof, type OpenedTlogProof, openTlogProof, parseTlogProof, type TlogProof } from './tlog-proof.ts'
export {
  emptyRoot,
  Frontier,
  HASH_BYTES,
  isHash,
  leafHash,
  nodeHash,
  rootOf,
  sameHash,
  type TreeHead,
} from './tree.ts'
export { type InclusionClaim, verifyConsistency, verifyInclusion } from './verify-proofs.ts'
