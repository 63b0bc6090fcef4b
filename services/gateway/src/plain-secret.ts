/** Names of options, variables, fields and parameters whose values are secrets. */
const secretName =
  /(?:^|[-_.])(?:(?:api|access|secret|account|auth|subscription|x)[-_]?key|apikey|secret|token|password|passwd|pwd|credentials?|authorization|bearer|jwt|sig|signature)$/i
/** The beginnings by which providers mark their keys, and the form of signed tokens. */
const secretValue =
  /(?:^|[=:\s])(?:(?:Bearer|Basic) +\S|(?:sk|pk|rk)[-_][A-Za-z0-9_-]{12}|gh[opsu]_|github_pat_|glpat-|xox[abeprs]-|A[KS]IA[0-9A-Z]{12}|AIza[0-9A-Za-z_-]{20}|eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]+\.)/
/** `scheme://user:password@host` */
const passwordInUrl = /^[a-z][a-z0-9+.-]*:\/\/[^/@\s:]*:[^/@\s]+@/i

const words = (name: string): string => name.replaceAll(/([a-z0-9])([A-Z])/g, '$1-$2')
const isSecretName = (name: string): boolean => secretName.test(words(name))

/**
 * The parameter of an address that holds a secret, as far as its name or form tells. The address is part of the manifest, which people sign
 * and others read.
 */
export function secretInUrl(url: URL): string | undefined {
  const [found] = [...url.searchParams].find(
    ([name, value]) => value !== '' && (isSecretName(name) || /^key$/i.test(name) || secretValue.test(value)),
  ) ?? [undefined]
  return found
}

/** Whether the text of a header field or a variable is a secret that is written out, as far as its name or form tells. */
export const secretInField = (name: string, text: string): boolean =>
  text !== '' && (isSecretName(name) || /^(?:cookie|authorization)$/i.test(name) || secretValue.test(text))

/** The place in a command of an argument that holds a secret: every user of the machine can read it, and it is part of the manifest. */
export function secretInCommand(command: readonly string[]): number | undefined {
  const found = command.findIndex((argument, n) => holdsSecret(argument, n === 0 ? undefined : command[n - 1]))
  return found < 0 ? undefined : found
}

function holdsSecret(argument: string, before = ''): boolean {
  // The program itself fills this in, from a variable.
  if (/\$\{\w+\}/.test(argument)) return false
  if (secretValue.test(argument) || passwordInUrl.test(argument)) return true
  const [, name = '', value = ''] = /^-{0,2}([A-Za-z][\w.-]*)[=:]\s*(\S.*)$/s.exec(argument) ?? []
  if (value !== '' && !value.startsWith('//') && isSecretName(name)) return true
  const [, option = ''] = /^--?([A-Za-z][\w.-]*)$/.exec(before) ?? []
  return !argument.startsWith('-') && argument !== '' && isSecretName(option)
}
