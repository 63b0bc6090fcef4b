import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { ServiceError } from '@bailiwick/errors'

/** The user that the program runs as, in place of that of the command. */
export interface OwnUser {
  readonly name: string
  readonly uid: number
  readonly gid: number
  readonly home: string
  /** Words that come before a command, which then runs as this user and cannot become another one. */
  readonly before: readonly string[]
}

const run = promisify(execFile)
const probeMs = 10_000

/**
 * The user of this name, for a program that must not read these files. Only root can run a program as another user. Throws `config_invalid` if
 * that is not so, for root itself, and for a user who can read one of the files or cannot enter the folder in which the program starts.
 */
export async function ownUser(
  name: string,
  { files, cwd, env }: { files: readonly string[]; cwd: string; env: Record<string, string> },
): Promise<OwnUser> {
  const refuse = (why: string, cause?: unknown) =>
    new ServiceError('config_invalid', `--user ${name}: ${why}`, { cause })
  if (process.getuid?.() !== 0) throw refuse('only root can run a program as another user')
  if (!/^[a-z_][a-z0-9_.-]{0,31}\$?$/i.test(name)) throw refuse('no name of a user')
  const { stdout } = await run('getent', ['passwd', name], { timeout: probeMs }).catch((cause: unknown) => {
    throw refuse('there is no such user', cause)
  })
  const [, , uid = '', gid = '', , home = '/'] = stdout.trim().split(':')
  if (uid === '0') throw refuse('root can read every key')
  const before = ['setpriv', '--reuid', uid, '--regid', gid, '--init-groups', '--no-new-privs', '--']
  const works = ([file = '', ...args]: readonly string[]) =>
    run(file, args, { env, timeout: probeMs }).then(
      () => true,
      () => false,
    )
  if (!(await works([...before, 'true']))) throw refuse('setpriv of util-linux does not work here')
  for (const file of files) if (await works([...before, 'test', '-r', file])) throw refuse(`this user can read ${file}`)
  if (!(await works([...before, 'test', '-x', cwd]))) throw refuse(`this user cannot enter ${cwd}`)
  return { name, uid: Number(uid), gid: Number(gid), home, before }
}

/** Which of these paths the user can find at all. What it cannot find need not be hidden from it, and could not be covered by it. */
export async function reachableBy({ before }: OwnUser, paths: readonly string[], env: Record<string, string>) {
  if (paths.length === 0) return []
  const script = 'for path do test -e "$path" && printf "%s\\0" "$path"; done; true'
  const [file = '', ...args] = [...before, 'sh', '-c', script, 'sh', ...paths]
  const { stdout } = await run(file, args, { env, timeout: probeMs })
  const found = new Set(stdout.split('\0'))
  return paths.filter((path) => found.has(path))
}

/** What the environment says of the user, and not of the person who started the command. */
export const environmentOf = (env: Record<string, string>, { name, home }: OwnUser): Record<string, string> => ({
  ...Object.fromEntries(Object.entries(env).filter(([variable]) => !/^(XDG_|SUDO_|MAIL$)/.test(variable))),
  ...{ HOME: home, USER: name, LOGNAME: name },
})
