import type { Published } from './published.ts'

const allowed: Record<Published['form'], readonly RegExp[]> = {
  library: [/^(package\.json|README\.md|LICENSE)$/, /^dist\/[\w-]+\.(js|js\.map|d\.ts)$/],
  program: [
    /^(package\.json|README\.md|LICENSE|LICENSES-console\.txt|bin\/bailiwick\.js|dist\/packages\/cli\/package\.json)$/,
    /^dist\/(packages|services|_virtual)\/[\w/.-]+\.js(\.map)?$/,
    /^dist\/packages\/grant-store\/src\/redis\/lua\/[\w.-]+\.lua$/,
    /^dist\/packages\/console\/dist\/(index\.html|assets\/[\w.-]+\.(js|css)(\.(br|gz))?)$/,
    /^dist\/policies\/[\w-]+\.(cedar|cedarschema)$/,
  ],
}
const ofTests = /\.(test|fixture|contract|test-data|split)\.|(^|\/)(test|tests|fixtures?|testkit)\//

/** A list of what may be there: of what must not be there, no list is complete. */
export const strayFiles = (form: Published['form'], files: readonly { readonly path: string }[]): string[] =>
  files
    .filter(({ path }) => ofTests.test(path) || !allowed[form].some((pattern) => pattern.test(path)))
    .map(({ path }) => `${path}: not a file that is published`)
