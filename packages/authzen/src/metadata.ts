import { customObligations, type obligationTypes } from '@bailiwick/contracts'
import { authZenPaths } from './routes.ts'

/** Lists every endpoint (AuthZEN 1.0 §9.1.1): callers may not use an endpoint that is left out. */
export const authZenEndpoints = (publicUrl: string) =>
  Object.fromEntries(
    Object.entries(authZenPaths).map(([parameter, path]) => [parameter, `${publicUrl}${path}`]),
  ) as Record<keyof typeof authZenPaths, string>

/** AuthZEN obligations profile, "PDP Metadata Extension". For type `custom` we also list the values of `properties.action`. */
export const obligationsGiven = (types: readonly (typeof obligationTypes)[number][]) => ({
  supported_obligations: [...types],
  bailiwick_obligations: [...customObligations],
})
