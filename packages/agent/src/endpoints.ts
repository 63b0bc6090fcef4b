/** The addresses of an installation's services. */
export interface Endpoints {
  /** The issuer's identifier: the audience of client assertions. */
  issuer: string
  token: string
  accessRequests: string
}
