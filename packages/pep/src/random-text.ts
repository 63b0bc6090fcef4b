import { encodeBase64url } from '@bailiwick/credentials'

/** 128 random bits as text: for ids that must be unguessable and unique. */
export function encodeRandom(random: (n: number) => Uint8Array): string {
  return encodeBase64url(random(16))
}
