import { join } from 'node:path'
import { builtGo, pythonWithPackages, resourceServers } from './programs.ts'

/** The languages in which a resource server validates credentials by itself. */
export const languages = ['node', 'python', 'go'] as const
export type Language = (typeof languages)[number]

const compiled = new Map<string, Promise<string>>()

/** The command for the program in a language. A compiled program goes into this folder, once. */
export async function programOf(language: Language, folder: string): Promise<[file: string, args: string[]]> {
  const at = join(resourceServers, language)
  if (language === 'node') return [process.execPath, [join(at, 'server.mjs')]]
  if (language === 'python') return [await pythonWithPackages(at), [join(at, 'server.py')]]
  const built = compiled.get(folder) ?? builtGo(folder, at)
  compiled.set(folder, built)
  return [await built, []]
}
