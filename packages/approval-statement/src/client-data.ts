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

/** WebAuthn Level 3 §5.8.1, as the browser collected it. Browsers add members; those are not ours to judge. */
export type ClientData = z.infer<typeof clientDataSchema>

/** Reads client data strictly: one spelling of base64url, no duplicate keys, which two parsers would read differently. */
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
 * Whether a page of ours, itself and not framed by another, asked for the ceremony. The library lets `crossOrigin` pass when
 * the browser names no `topOrigin`: then a page that frames ours could lead a human's hand to the button.
 */
export function isFramed({ crossOrigin, topOrigin }: ClientData): boolean {
  return crossOrigin === true || topOrigin !== undefined
}
