// A process that starts a service, prints which, and then does nothing: for a test that ends it.
import { ServiceProcess } from './service-process.ts'

const [data = '', port = ''] = process.argv.slice(2)
const env = { BAILIWICK_DATA: data, BAILIWICK_PORT: port, BAILIWICK_LOG_LEVEL: 'silent' }
const service = new ServiceProcess({ service: 'standalone', env })
service.start()
process.stdout.write(`${service.pid}\n`)
