import { existsSync } from 'node:fs'
import type { ServiceAddress } from '@bailiwick/host'
import { paths } from '@bailiwick/installation'
import { operatorOf, type PartService, partsIn, socketsOf } from './operator-client.ts'
import { failingAt, nameOf, type Place, reasonOf } from './operator-exchange.ts'
import { services } from './repository.ts'

export interface Readiness {
  /**
   * The failing checks, each with its reason, and with its service if services run separately. Empty if everything that was asked is ready.
   */
  failing: string[]
  /** Instances that are not ready while another instance of their service is: a standby, or a decision point that is down. */
  besides: string[]
  /** Services that do not run here and have no known address. */
  unasked: PartService[]
}

/**
 * Checks whether the whole system is ready: services of this data directory through their sockets, every other service at its addresses.
 * If services do not run separately, it asks standalone, and throws if that does not answer.
 */
export async function readiness(data: string, addresses: readonly ServiceAddress[]): Promise<Readiness> {
  const here = partsAmong(data, addresses)
  if (here === undefined) return { failing: await operatorOf(data).failing(), besides: [], unasked: [] }
  const found = await Promise.all(
    services.map(async (service): Promise<Readiness> => {
      const places = placesOf(service, here.includes(service) ? data : undefined, addresses)
      if (places.length === 0) return { failing: [], besides: [], unasked: [service] }
      const told = await Promise.all(places.map(async (place) => ({ place, reasons: await reasonsAt(place) })))
      const away = told.filter(({ reasons }) => reasons.length > 0)
      if (away.length === told.length) {
        const failing = [...new Set(away.flatMap(({ reasons }) => reasons))].map((reason) => `${service}: ${reason}`)
        return { failing, besides: [], unasked: [] }
      }
      const besides = away.map(({ place, reasons }) => `${service} at ${nameOf(place)}: ${reasons.join('; ')}`)
      return { failing: [], besides, unasked: [] }
    }),
  )
  return {
    failing: found.flatMap(({ failing }) => failing),
    besides: found.flatMap(({ besides }) => besides),
    unasked: found.flatMap(({ unasked }) => unasked),
  }
}

/** The local services, if services run separately; undefined: standalone, or nothing, runs here. */
export function partsAmong(data: string, addresses: readonly ServiceAddress[]): PartService[] | undefined {
  if (existsSync(paths(data).operatorSocket)) return undefined
  const parts = addresses.length > 0 ? partsIn(data, true) : partsIn(data)
  return parts.length === 0 && addresses.length === 0 ? undefined : parts
}

/** Where to ask a service; `data`: the directory to which it belongs, if that is this one. */
function placesOf(service: PartService, data: string | undefined, addresses: readonly ServiceAddress[]): Place[] {
  if (data !== undefined) return socketsOf(data, service).map((socketPath) => ({ socketPath }))
  return addresses.filter((each) => each.service === service).map(({ url }) => ({ url }))
}

const reasonsAt = (place: Place) => failingAt(place).catch((error) => [reasonOf(error)])
