import { randomBytes } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ServiceError } from '@bailiwick/errors'
import type { Login } from './kafka-protocol.ts'
import { needProgram, runProgram } from './programs.ts'

/** How clients of a secure cluster connect: SASL_SSL, SCRAM-SHA-512. */
export interface KafkaSecurity {
  /** The certificate of the authority that signed the nodes' certificates; PEM. */
  readonly caFile: string
  /** The file (0600) that has only the user's password. `admin` may do everything. */
  passwordFile(user: string): string
}

/** The same with the parts that only the cluster itself needs. */
export interface ClusterSecurity extends KafkaSecurity {
  /** Name → password, `admin` and `broker` among them. */
  users(): ReadonlyMap<string, string>
  /** Overrides of a node's plain settings. */
  serverSettings(): Record<string, string>
  adminLogin(): Login
}

const DAYS = 30
const always = ['admin', 'broker']
const keyOptions = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']

/** Makes certificates with openssl, and a random password for each user, in the folder. */
export async function createSecurity(dir: string, users: readonly string[]): Promise<ClusterSecurity> {
  const names = new Set([...always, ...users])
  for (const name of names)
    if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name)) throw new ServiceError('config_invalid', `a user's name: ${name}`)
  mkdirSync(join(dir, 'passwords'), { recursive: true, mode: 0o700 })
  for (const name of names)
    writeFileSync(join(dir, 'passwords', name), randomBytes(24).toString('base64url'), { mode: 0o600 })
  await makeCertificates(dir)
  return openSecurity(dir)
}

/** Reads what {@link createSecurity} left in the folder. */
export function openSecurity(dir: string): ClusterSecurity {
  const passwordFile = (user: string) => join(dir, 'passwords', user)
  const password = (user: string) => readFileSync(passwordFile(user), 'utf8')
  const caFile = join(dir, 'ca.pem')
  const login = () =>
    `org.apache.kafka.common.security.scram.ScramLoginModule required username="broker" password="${password('broker')}";`
  return {
    caFile,
    passwordFile,
    users: () => new Map(readdirSync(join(dir, 'passwords')).map((user) => [user, password(user)])),
    adminLogin: () => ({ ca: readFileSync(caFile, 'utf8'), username: 'admin', password: password('admin') }),
    serverSettings: () => ({
      'sasl.enabled.mechanisms': 'SCRAM-SHA-512',
      'sasl.mechanism.inter.broker.protocol': 'SCRAM-SHA-512',
      'listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config': login(),
      'listener.name.side.scram-sha-512.sasl.jaas.config': login(), // where there is one
      'ssl.keystore.type': 'PEM',
      'ssl.keystore.location': join(dir, 'keystore.pem'),
      'ssl.truststore.type': 'PEM',
      'ssl.truststore.location': caFile,
      'ssl.enabled.protocols': 'TLSv1.3',
      // Controllers know each other by certificate: SCRAM needs the metadata that they have yet to load.
      'listener.name.controller.ssl.client.auth': 'required',
      'ssl.principal.mapping.rules': 'RULE:^CN=([^,]+).*$/$1/,DEFAULT',
      'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
      'super.users': 'User:broker;User:admin',
      'allow.everyone.if.no.acl.found': 'false',
    }),
  }
}

/** An authority, and one certificate for all nodes, whose common name is the nodes' user. The authority's key is not kept. */
async function makeCertificates(dir: string): Promise<void> {
  const openssl = needProgram('openssl')
  const at = (name: string) => join(dir, name)
  const days = ['-days', String(DAYS)]
  const ca = ['-x509', '-keyout', at('ca.key'), '-out', at('ca.pem'), '-subj', '/CN=bailiwick native']
  await runProgram(openssl, ['req', ...keyOptions, ...ca, ...days], 30)
  const request = ['-keyout', at('node.key'), '-out', at('node.csr'), '-subj', '/CN=broker']
  await runProgram(openssl, ['req', ...keyOptions, ...request], 30)
  writeFileSync(at('node.ext'), 'subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth,clientAuth\n')
  const signed = ['-in', at('node.csr'), '-CA', at('ca.pem'), '-CAkey', at('ca.key'), '-extfile', at('node.ext')]
  await runProgram(openssl, ['x509', '-req', ...signed, '-CAcreateserial', '-out', at('node.pem'), ...days], 30)
  const keystore = ['node.key', 'node.pem', 'ca.pem'].map((name) => readFileSync(at(name), 'utf8')).join('')
  writeFileSync(at('keystore.pem'), keystore, { mode: 0o600 })
  for (const name of readdirSync(dir)) if (/^(ca\.key|ca\.srl|node\..*)$/.test(name)) rmSync(at(name))
}
