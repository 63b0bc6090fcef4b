import {
  askSettings,
  commonSettings,
  decisionSettings,
  issuerSettings,
  logSettings,
  notifySettings,
  sinkSettings,
} from '@bailiwick/host'
import { z } from 'zod'

/** The environment of `bailiwick serve`: all four services in one process, on embedded adapters (DESIGN §3). */
export const configSchema = z.object({
  ...commonSettings(8420),
  ...notifySettings,
  ...askSettings,
  ...issuerSettings,
  ...decisionSettings,
  ...logSettings,
  ...sinkSettings,
})

export type StandaloneConfig = z.infer<typeof configSchema>
