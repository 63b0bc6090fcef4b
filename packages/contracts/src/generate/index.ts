import { apis } from '../api/index.ts'
import { kafkaAcls, kafkaTopics } from '../kafka.ts'
import { topics } from '../topics.ts'
import { asyncApi } from './asyncapi.ts'
import { consoleAnswers } from './console-answers.ts'
import { consoleRows } from './console-rows.ts'
import { topicPage, topicsIndex, typesPage } from './docs.ts'
import { httpPage } from './http-page.ts'
import { bundleFile, schemaBundle } from './json-schema.ts'
import { openApi } from './openapi.ts'
import { allEventVectors } from './vectors.ts'

export { generatedFrom, table } from './docs.ts'

const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`

/** Folders that hold only generated files: any other file there is a leftover. */
export const generatedFolders = [
  'packages/contracts/generated',
  'docs/reference/events',
  'test/vectors/events',
] as const

/** Everything generated from the declarations of the topics and of the HTTP routes: text by path from the root of the repository. */
export function contractFiles(): ReadonlyMap<string, string> {
  const files = new Map<string, string>()
  for (const topic of topics) files.set(`docs/reference/events/${topic.name}.md`, topicPage(topic))
  for (const [topic, vectors] of allEventVectors()) files.set(`test/vectors/events/${topic}.json`, json(vectors))
  files.set(`packages/contracts/generated/${bundleFile}`, json(schemaBundle()))
  files.set('packages/contracts/generated/asyncapi.json', json(asyncApi()))
  for (const [name, api] of Object.entries(apis))
    files.set(`packages/contracts/generated/openapi/${name}.json`, json(openApi(api)))
  files.set('docs/reference/http.md', httpPage())
  files.set('packages/console/src/answers.ts', consoleAnswers())
  files.set('infra/kafka/topics.json', json(kafkaTopics()))
  files.set('infra/kafka/acls.json', json(kafkaAcls()))
  files.set('packages/console/src/pages/event-rows.ts', consoleRows())
  files.set('docs/reference/events/README.md', topicsIndex())
  files.set('docs/reference/events/types.md', typesPage())
  return files
}
