/** What clients were answered, to be compared with what the server got and with what the log says. */
export interface Tally {
  /** Calls that the server itself answered. */
  direct: number
  /** Calls that were answered through the gateway. */
  through: number
  /** Streams that began. */
  streams: number
}
