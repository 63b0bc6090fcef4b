import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { endWithThis } from '@bailiwick/native'
import { freePort } from '@bailiwick/testkit'
import { pythonWithPackages, run } from '../consumers/programs.ts'

const folder = join(import.meta.dirname, 'django')

/** The account of the admin. Its password must appear nowhere else. */
export const djangoAccount = { user: 'svc-bailiwick', password: 'canary-of-django-0123456789' }

export interface DjangoSite extends Disposable {
  readonly url: string
  /** Runs a statement in its database, and resolves with the rows as Python writes them. */
  sql(text: string): Promise<string>
}

/** A Python with Django, which is installed from PyPI the first time. */
export const djangoPython = (): Promise<string> => pythonWithPackages(folder)

/** The admin of Django as it is, with these groups and one account. */
export async function startDjango(groups: readonly string[] = ['team-red', 'team-blue']): Promise<DjangoSite> {
  const python = await djangoPython()
  const data = mkdtempSync(join(tmpdir(), 'judges-django-'))
  const port = await freePort()
  const env = { ...process.env, ACCOUNT_PASSWORD: djangoAccount.password, PYTHONDONTWRITEBYTECODE: '1' }
  const words = [join(folder, 'admin_site.py'), data, String(port), ...groups]
  const server = spawn(python, words, { env, stdio: 'ignore' })
  endWithThis(server)
  const url = `http://127.0.0.1:${port}`
  for (let tries = 0; ; tries++) {
    const answered = await fetch(`${url}/admin/login/`).catch(() => undefined)
    if (answered?.status === 200) break
    if (tries === 300) throw new Error('Django did not start')
    await pause(200)
  }
  const script =
    'import sqlite3,sys; at=sqlite3.connect(sys.argv[1]); print(at.execute(sys.argv[2]).fetchall()); at.commit()'
  return {
    url,
    sql: async (text) => (await run(python, ['-c', script, join(data, 'db.sqlite3'), text])).out.trim(),
    [Symbol.dispose]() {
      server.kill()
      rmSync(data, { recursive: true, force: true })
    },
  }
}
