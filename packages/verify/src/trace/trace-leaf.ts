import { type Leaf, readLeaf } from '../log/leaf.ts'

/** A leaf of a story. */
export interface TraceLeaf extends Omit<Leaf, 'at'> {
  /** It lost its place to another writer's event, and has no effect. */
  void?: true
}

/** Undefined for bytes that are not an event of ours. */
export function traceLeaf(index: number, bytes: Uint8Array): TraceLeaf | undefined {
  const leaf = readLeaf(index, bytes)
  return typeof leaf === 'string' ? undefined : leaf
}
