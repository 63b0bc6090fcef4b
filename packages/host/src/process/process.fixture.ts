// A process of one service that does nothing, for tests to stop: `node process.fixture.ts DIR [SLOW_MS] [open | fatal]`.
// `open` leaves something open. `fatal` makes it fail once it is ready.
import { randomBytes } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import { ServiceError } from '@bailiwick/errors'
import { initialise } from '@bailiwick/installation'
import { systemClock } from '@bailiwick/kit'
import { z } from 'zod'
import { commonSettings } from '../settings/settings.ts'
import { runService } from './run-service.ts'

const [data = '', slowMs = '0', left] = process.argv.slice(2)
if (left === 'open') setInterval(() => undefined, 1000)

process.exitCode = await runService({
  name: 'issuer',
  env: { BAILIWICK_DATA: data, BAILIWICK_PORT: '0' },
  schema: z.object(commonSettings(0)),
  prepare: () =>
    void initialise({
      data,
      publicUrl: 'http://localhost:8420',
      singleOperator: true,
      now: systemClock.now(),
      randomBytes,
      policies: new Map([['starter.cedar', Buffer.from('permit(principal, action, resource);')]]),
      entities: [],
    }),
  start: async () => ({ [Symbol.asyncDispose]: () => setTimeout(Number(slowMs)) }),
  ready: async (_, host) => {
    if (left === 'fatal') host.onFatal(new ServiceError('service_standby', '/issuer/two took over'))
  },
  complain: (line) => process.stderr.write(`${line}\n`),
})
