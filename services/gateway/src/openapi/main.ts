import { readFileSync } from 'node:fs'
import { isObject } from '@bailiwick/mcp'
import { parse, stringify } from 'yaml'
import { operationsOfOpenApi } from './operations-of-openapi.ts'

const [file = ''] = process.argv.slice(2)
try {
  const document: unknown = parse(readFileSync(file, 'utf8'), { maxAliasCount: 0 })
  if (!isObject(document) || !isObject(document.paths)) throw new Error(`${file} is no OpenAPI description`)
  const { operations, notes } = operationsOfOpenApi(document)
  for (const note of notes) console.error(note)
  console.log(stringify({ operations }, { lineWidth: 0 }).trimEnd())
} catch (error) {
  console.error(`bailiwick: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 2
}
