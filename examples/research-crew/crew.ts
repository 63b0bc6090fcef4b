// The crew, for its programs in TypeScript. Their settings are those that `bailiwick dev --env` writes.
import { randomBytes } from 'node:crypto'
import { type Agent, createAgent, readKeyFile } from '@bailiwick/agent'

const { BAILIWICK_INSTALLATION = '', BAILIWICK_URL = '', PYTHON = 'python3' } = process.env
export const { CREW = 'crew', LIBRARY = 'http://localhost:8440' } = process.env

/** What one search is, and what it costs. */
export const resource = { type: 'tool', id: 'library/search' }
export const price = { amount: '0.20', currency: 'EUR' }

const here = import.meta.dirname
const inPython = [PYTHON, `${here}/scout.py`] as const
const inTypeScript = [process.execPath, `${here}/scout.ts`] as const
export const scouts = [
  { name: 'scout-1', topic: 'wind', command: inPython },
  { name: 'scout-2', topic: 'sun', command: inPython },
  { name: 'scout-3', topic: 'tides', command: inPython },
  { name: 'scout-4', topic: 'storage', command: inTypeScript },
  { name: 'scout-5', topic: 'grids', command: inTypeScript },
]

export const agentIdOf = (name: string): string => `spiffe://bailiwick.local/agent/${name}`

/** The agent of this name. Only that agent's own program calls this, with its own key. */
export const agentOf = (name: string): Agent =>
  createAgent({
    agentId: agentIdOf(name),
    instance: 'i1',
    key: readKeyFile(`${CREW}/keys`, `${name}-i1`, 'agent'),
    installation: BAILIWICK_INSTALLATION,
    baseUrl: BAILIWICK_URL,
    now: () => Date.now(),
    random: (length) => randomBytes(length),
  })
