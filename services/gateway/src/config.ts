import { commonSettings, duration, flag, httpLimits, port, setting } from '@bailiwick/host'
import { z } from 'zod'

const {
  BAILIWICK_DATA,
  BAILIWICK_PUBLIC_URL,
  BAILIWICK_HOST,
  BAILIWICK_PORT,
  BAILIWICK_LOG_LEVEL,
  BAILIWICK_TLS,
  BAILIWICK_HOSTS,
  BAILIWICK_TRUSTED_PROXIES,
  BAILIWICK_STRANGER_REQUESTS_PER_SECOND,
  BAILIWICK_METRICS,
} = commonSettings(8425)

/** The environment of `bailiwick serve gateway`. What stands behind it is in the file that `BAILIWICK_GATEWAY_CONFIG` names. */
export const configSchema = z.object({
  BAILIWICK_DATA: setting(
    'Where the gateway keeps outcomes that are not delivered yet, and where `trust.json` is unless the file names another.',
    '/var/lib/bailiwick-gateway',
    BAILIWICK_DATA,
  ),
  BAILIWICK_PUBLIC_URL,
  BAILIWICK_HOST,
  BAILIWICK_PORT,
  BAILIWICK_LOG_LEVEL,
  BAILIWICK_TLS,
  BAILIWICK_HOSTS,
  BAILIWICK_TRUSTED_PROXIES,
  BAILIWICK_STRANGER_REQUESTS_PER_SECOND,
  BAILIWICK_METRICS,
  BAILIWICK_HTTP2: setting(
    '`1`: the port speaks HTTP/2 too, over TLS with clients that choose it (ALPN), in the clear with those that begin with it. WebSockets need HTTP/1.1.',
    '1',
    flag,
  ),
  BAILIWICK_GATEWAY_CONFIG: setting(
    'The file that names the MCP servers, HTTP APIs and model providers. `--config` sets it.',
    '/etc/bailiwick/gateway.yaml',
    z.string().min(1),
  ),
  BAILIWICK_GRPC_PORT: setting(
    'The port, on the same address, at which Envoy asks over gRPC and sends its access log. `0`: any free one. Without it: none.',
    '8426',
    port.optional(),
  ),
  BAILIWICK_DRAIN: setting(
    'How long a gateway that stops lets answers flow to their end. It takes no new call meanwhile. Then it cuts the rest.',
    '60s',
    duration(0, 600_000).default(httpLimits.graceMs),
  ),
})

export type GatewayConfig = z.output<typeof configSchema>
