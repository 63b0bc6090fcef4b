import {
  askSettings,
  commonSettings,
  decisionSettings,
  issuerSettings,
  logSettings,
  notifySettings,
  setting,
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
  BAILIWICK_GATEWAY_CONFIG: setting(
    'The file of the MCP gateway. If it is set, a gateway runs beside the four services, as a process of its own.',
    '/etc/bailiwick/gateway.yaml',
    z.string().min(1).optional(),
  ),
  BAILIWICK_GATEWAY_PORT: setting(
    'The port of that gateway.',
    '8425',
    z.coerce.number().int().min(1).max(65535).default(8425),
  ),
  BAILIWICK_GATEWAY_URL: setting(
    'The address at which agents call that gateway. Without it: `http://localhost:<port>`, or `https` with TLS files.',
    'https://gateway.example',
    z.url({ protocol: /^https?$/ }).optional(),
  ),
})

export type StandaloneConfig = z.infer<typeof configSchema>
