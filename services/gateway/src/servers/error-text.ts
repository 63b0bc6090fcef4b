import { SecretScreen } from '@bailiwick/relay'

/**
 * Passes on what a server writes to standard error, up to the first of its secrets: no log may hold one (V17). The last characters wait as
 * long as they may be the beginning of a secret.
 */
export function errorText(secrets: readonly string[], onText: (text: string) => void): (text: string) => void {
  const screen = new SecretScreen(secrets)
  let isOver = false
  return (text) => {
    if (isOver) return
    const shown = screen.pass(Buffer.from(text))
    isOver = shown === undefined
    const said =
      shown === undefined ? 'It wrote one of its secrets. The rest is not logged.' : Buffer.from(shown).toString()
    if (said !== '') onText(said)
  }
}
