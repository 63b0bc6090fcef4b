import { parseStrictJson } from '@bailiwick/contracts'
import { decodeBase64url } from '@bailiwick/credentials'
import { z } from 'zod'

const clientDataSchema = z.looseObject({
  type: z.string(),
  challenge: z.string(),
  origin: z.string(),
  crossOrigin: z.boolean().optional(),
  topOrigin: z.unknown().optional(),
})

/** WebAuthn Level 3 §5.8.1, as collected by the browser. Browsers add members, which we do not judge. */
export type ClientData = z.infer<typeof clientDataSchema>

/** Parses client data strictly: one base64url spelling, and no duplicate keys, which two parsers could read differently. */
export function parseClientData(clientDataJson: string): ClientData | undefined {
  const bytes = decodeBase64url(clientDataJson)
  if (bytes === undefined) return undefined
  try {
    return clientDataSchema.safeParse(parseStrictJson(bytes)).data
  } catch {
    return undefined
  }
}

/**
 * Whether the ceremony was requested by a page other than our own unframed page. The library accepts `crossOrigin` if the browser names no
 * `topOrigin`: a page that frames ours could then steer a human's click to the button.
 */
export function isFramed({ crossOrigin, topOrigin }: ClientData): boolean {
  return crossOrigin === true || topOrigin !== undefined
}
