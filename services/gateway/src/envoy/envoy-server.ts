import { type GrpcServer, grpcServer, type Logger, type Metrics, readTls } from '@bailiwick/host'
import type { GatewayConfig } from '../config.ts'
import { type EnvoyMethodsOptions, envoyMethods } from './envoy-methods.ts'

type Parts = Pick<EnvoyMethodsOptions, 'authorizers' | 'logs' | 'clock'> & { logger: Logger; metrics: Metrics }

/** Listens for Envoy at a port of its own: gRPC needs HTTP/2, and agents need not reach it. Undefined if the settings name no port. */
export async function openEnvoyServer(
  config: GatewayConfig,
  { logger, metrics, ...parts }: Parts,
): Promise<(GrpcServer & { url: string }) | undefined> {
  const { BAILIWICK_GRPC_PORT: port, BAILIWICK_TRUSTED_PROXIES: trustedProxies } = config
  if (port === undefined) return undefined
  const strangersPerSecond = config.BAILIWICK_STRANGER_REQUESTS_PER_SECOND
  const server = grpcServer({
    ...{ logger, metrics, trustedProxies, tls: readTls(config.BAILIWICK_TLS) },
    methods: envoyMethods({ ...parts, trustedProxies, strangersPerSecond }),
    limits: { graceMs: config.BAILIWICK_DRAIN },
  })
  return { ...server, url: await server.listen({ host: config.BAILIWICK_HOST, port }) }
}
