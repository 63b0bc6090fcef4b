/** Where an installation's services are. */
export interface Endpoints {
  /** The issuer's identifier: the audience of client assertions. */
  issuer: string
  token: string
  accessRequests: string
}
