import { type Api, apis, type Route } from '../api/index.ts'
import { generatedFrom, table } from './docs.ts'

const doors: Record<Route['on'], string> = { http: 'network', operator: 'operator’s socket', both: 'both' }

const section = (name: string, { title, routes }: Api): string =>
  `## ${title}

OpenAPI 3.1: [\`${name}.json\`](../../packages/contracts/generated/openapi/${name}.json).

${table(
  ['Method', 'Path', 'Served on', 'What it is for'],
  Object.values<Route>(routes).map(({ method, path, on, summary }) => [method, `\`${path}\``, doors[on], summary]),
)}
`

/** The page on the HTTP routes of every service. */
export function httpPage(): string {
  return `# HTTP routes

${generatedFrom('packages/contracts/src/api')}

Every route of every service. \`:name\` is one segment of the path, a final \`*\` is the rest of it.
The operator’s socket is a Unix socket beside the data; its file rights are the authentication.
A refusal is a problem document (RFC 9457) with a code from [the list of errors](errors.md); the OAuth routes use the errors of OAuth.
A client must ignore members of an answer that it does not know.

${Object.entries(apis)
  .map(([name, api]) => section(name, api))
  .join('\n')}`
}
