import { z } from 'zod'

/** Marks labels that no person has checked. Rules can ask for more people by it. */
export const guessedLabel = 'guessed'

/** The longest manifest that people can be shown, in characters of its canonical text. It is more than a person reads. */
export const longestManifestText = 1024 * 1024

const describedSchema = z.record(z.string(), z.record(z.string(), z.unknown()))

/** Everything that a server of tools says of itself to a model, and how it is known: what `manifest` in the registry is the hash of. */
export const toolManifestSchema = z.strictObject({
  identity: z.union([
    z.strictObject({ url: z.string() }),
    z.strictObject({ command: z.array(z.string()), files: z.record(z.string(), z.string()) }),
  ]),
  server_info: z.unknown(),
  instructions: z.unknown(),
  /** By name, as the server describes them. */
  tools: describedSchema,
  prompts: describedSchema,
  /** By URI template. */
  templates: describedSchema,
})
export type ToolManifest = z.infer<typeof toolManifestSchema>

/**
 * The text whose SHA-256 is `manifest` in the registry, from the canonical text (RFC 8785) of a manifest: the JCS array
 * `["bailiwick-mcp-manifest-v1", manifest]`. The first element keeps it apart from every other hash of ours.
 */
export const hashedManifestText = (canonical: string): string => `["bailiwick-mcp-manifest-v1",${canonical}]`
