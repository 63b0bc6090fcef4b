import { existsSync } from 'node:fs'
import { keyFilePath } from '@bailiwick/credentials'
import { runService } from '@bailiwick/host/process'
import { paths } from '@bailiwick/installation'
import { configSchema } from './config.ts'
import { approvalKeys, startApproval } from './start.ts'

/** The name that `bailiwick keys auditor` gives it. */
const auditorKeyName = 'auditor'

process.exitCode = await runService({
  name: 'approval',
  env: process.env,
  schema: configSchema,
  start: (config, host) =>
    startApproval(
      {
        ...host.settings,
        requestLifeSeconds: config.BAILIWICK_REQUEST_SECONDS,
        evidenceUrl: config.BAILIWICK_EVIDENCE_URL,
        notify: { webhook: config.BAILIWICK_NOTIFY_WEBHOOK, format: config.BAILIWICK_NOTIFY_FORMAT },
      },
      {
        ...host,
        keys: {
          ...approvalKeys(host),
          auditor: existsSync(keyFilePath(paths(host.data).keys('approval'), auditorKeyName))
            ? host.key('approval', auditorKeyName, 'auditor')
            : undefined,
        },
      },
    ),
  complain: (line) => console.error(line),
})
