import { ServiceError } from '@bailiwick/errors'
import { z } from 'zod'
import { type Env, misspeltSettings } from './known-settings.ts'

const SECRET_SETTING = /KEY|SECRET|PASS|TOKEN|CREDENTIAL|WEBHOOK/i

/**
 * Reads a service's settings from its environment. An empty variable counts as absent. Settings of other processes are ignored, because
 * several processes share an environment, but a misspelt setting is an error. Throws `config_invalid`, whose detail has a line
 * for each wrong setting: its name, what is wrong and, unless the name says that it is a secret, the value. A URL is shown without user,
 * password and query.
 */
export function readConfig<S extends z.ZodType>(schema: S, env: Env): z.output<S> {
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value !== ''))
  const misspelt = misspeltSettings(env, schema instanceof z.ZodObject ? Object.keys(schema.shape) : [])
  const read = schema.safeParse(given)
  if (read.success && misspelt.length === 0) return read.data
  const wrong = read.error?.issues.map((issue) => line(issue, env)) ?? []
  throw new ServiceError('config_invalid', [...wrong, ...misspelt].join('\n'))
}

function line(issue: z.core.$ZodIssue, env: Env): string {
  const name = String(issue.path[0] ?? 'the settings together')
  const value = env[name]
  if (value === undefined || value === '') return `${name}: ${issue.code === 'custom' ? issue.message : 'missing'}`
  // zod quotes the value in some messages. Of a secret, not even the form may be revealed.
  if (isSecret(name)) return `${name}: not valid`
  return `${name}: ${issue.message} (is ${JSON.stringify(withoutSecrets(value).slice(0, 200))})`
}

const isSecret = (name: string) => SECRET_SETTING.test(name) && !name.endsWith('_SECONDS')

const withoutSecrets = (value: string) => value.replace(/\/\/[^/\s]*@/g, '//…@').replace(/\?\S*/g, '?…')
