import { z } from 'zod'
import { attachmentErased } from './decisions.ts'
import { previousSchema } from './envelope.ts'
import { pointInstanceSchema, sha256Schema, timestampSchema } from './primitives.ts'

const offsetSchema = z.int().min(-1)
const partitionSchema = z.string().regex(/^\d{1,5}$/)

/**
 * A service instance's signed statement of its position (DESIGN §4, §5), every 500 ms and at stop. A reader is fresh when it has folded
 * everything that the active issuer's newest head names.
 */
export const headPublished = z.strictObject({
  service: z.enum(['approval', 'issuer', 'policy-decision', 'evidence']),
  producer: z.string().max(128),
  active: z.boolean(),
  /** Its own chain: number and hash of its newest event; before the first, 0 and what `previous` would be. */
  sequence: z.int().min(0),
  hash: previousSchema,
  /**
   * For each topic that its service writes, the last event that counts in each partition, whichever instance wrote it; for
   * `revocations.v1`, from every reader, because a read position does not show what was made of the event.
   */
  counted: z.record(
    z.string(),
    z.record(partitionSchema, z.strictObject({ offset: offsetSchema, id: z.string().max(128) })),
  ),
  /** As a reader: the offset of the last handled message, by topic and partition; -1: none yet. */
  read: z.record(z.string(), z.record(partitionSchema, offsetSchema)),
  stopping: z.boolean(),
})
export type Head = z.infer<typeof headPublished>

export const checkpointPublished = z.strictObject({
  origin: z.string().min(1).max(256),
  size: z.int().min(0),
  root: sha256Schema,
  /** The signed note, including cosignatures. */
  checkpoint: z.string().max(16_384),
})

export const gapDetected = z.strictObject({
  producer: z.string().max(128),
  service: z.string().max(64),
  from: z.int().min(1),
  to: z.int().min(1),
  head_time: timestampSchema,
})
export const outcomeUnrelayed = z.strictObject({
  decision_id: z.string().max(128),
  enforcement_point: z.string().max(255),
  sequence: z.int(),
})
/** Outcome numbers of an enforcement point's instance that the log lacks, or for which it has other outcomes than the next one names. */
export const outcomeSkipped = z.strictObject({
  enforcement_point: z.string().max(255),
  instance: pointInstanceSchema,
  from: z.int().min(1),
  to: z.int().min(1),
})
/** An enforcement point signed two outcomes where only one may exist. This is the second: the first one relayed counts. */
export const outcomeContradicted = z.strictObject({
  decision_id: z.string().max(128),
  enforcement_point: z.string().max(255),
  instance: pointInstanceSchema.optional(),
  sequence: z.int(),
  /** The scope in which there may be only one outcome: the decision, or this number of the instance. */
  of: z.enum(['decision', 'sequence']),
  /** SHA-256 of what the point signed: header and payload, without the signature, which has two spellings. */
  signed_sha256: sha256Schema,
})
/** An event that cannot count: forged, foreign, or unexpectedly void. Identified by its leaf. */
export const eventRefused = z.strictObject({
  topic: z.string().max(255),
  event_id: z.string().max(128),
  sha256: sha256Schema,
  code: z.string().max(64),
})

/**
 * Leaves of the log that a sink will never get: it was too far behind (`backlog`), or its receiver refused them for good (`refused`).
 * `count` of the leaves `from` to `to`.
 */
export const leavesDropped = z.strictObject({
  sink: z.enum(['otlp', 'file']),
  reason: z.enum(['backlog', 'refused']),
  from: z.int().min(0),
  to: z.int().min(0),
  count: z.int().min(1),
})

/** A value that events hold as a salted hash was erased. The hash stays in place, and so does every proof. */
export const valueErased = z.strictObject({
  ...attachmentErased.shape,
  /** The topic of the attachments that brought the value to evidence. */
  topic: z.string().max(255),
  salted_sha256: sha256Schema,
})

/** The files of the active policy set are not what people approved. The set loaded earlier decides, or none. */
export const policyFilesChanged = z.strictObject({
  /** The active set's hash. */
  policy_set: sha256Schema,
  /** The hash of the files found in its place; absent: no policy can be read there. */
  found: sha256Schema.optional(),
})

/** An event that evidence could not read, by position and hash; the bytes stay on their own topic. */
export const eventParked = z.strictObject({
  topic: z.string().max(255),
  partition: z.int().min(0),
  offset: z.int().min(0),
  sha256: sha256Schema,
  size: z.int().min(0),
  code: z.string().max(64),
})
