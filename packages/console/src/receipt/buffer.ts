import { Buffer } from 'buffer'

// Node's global, for packages/tlog. Imported before it.
Object.assign(globalThis, { Buffer })
