import { basename, dirname, join } from 'node:path'
import { readKeyFile, readKeysSecret, type SigningKey, thumbprint } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import { type Installation, paths } from '@bailiwick/installation'
import type { Io } from './io.ts'

/** The secret of the key files, if `BAILIWICK_KEYS_SECRET_FILE` names one. */
export function keysSecretIn({ env }: Pick<Io, 'env'>): string | undefined {
  const file = env.BAILIWICK_KEYS_SECRET_FILE
  return file === undefined ? undefined : readKeysSecret(file)
}

/** Folder and name of a key file given by a person. Throws `config_invalid` for an invalid name, because another file would be read. */
export function keyFileAt(option: string, file: string): [folder: string, name: string] {
  if (!file.endsWith('.json')) throw new ServiceError('config_invalid', `${option}: ${file} is no key file (.json)`)
  return [dirname(file), basename(file, '.json')]
}

/** The root key of this installation, from its data directory or its other location. Throws `config_invalid` for any other key. */
export function rootKeyOf(
  { data, trust }: Installation,
  given: string | undefined,
  secret: string | undefined,
): SigningKey<'root'> {
  const file = given ?? join(paths(data).keys('root'), 'root.json')
  const root = readKeyFile(...keyFileAt('--root-key', file), 'root', secret)
  if (root.kid !== thumbprint(trust.root.jwk))
    throw new ServiceError('config_invalid', '--root-key: it is not the root key of this installation')
  return root
}
