import { type Place, ServiceProcess } from '@bailiwick/testkit'

/** The whole system as one process in this place, not started yet; `env` besides. */
export function standalone(
  { data, port }: Pick<Place, 'data' | 'port'>,
  env: Readonly<Record<string, string>> = {},
  through: readonly string[] = [],
): ServiceProcess {
  return new ServiceProcess({
    service: 'standalone',
    env: {
      BAILIWICK_DATA: data,
      BAILIWICK_PORT: String(port),
      BAILIWICK_LOG_PUBLIC: '1',
      BAILIWICK_LOG_LEVEL: 'warn',
      ...env,
    },
    through,
  })
}
