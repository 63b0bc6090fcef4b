/** `URL.parse`, which Node.js 20 does not have: null unless the text is an absolute URL. */
export function parseUrl(text: string): URL | null {
  try {
    return new URL(text)
  } catch {
    return null
  }
}
